//! What a person needs to see a failure: the seed, what differs, and the smallest cluster on which it does.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use lab::policy::{Case, Change, Object, smaller};

use super::Failure;

/// Writes the smallest cluster that fails to a directory of manifests, and says so.
pub(super) fn report(
    seed: u64,
    case: Case,
    failure: Failure,
    mut fails: impl FnMut(&Case) -> Option<Failure>,
) -> String {
    // Most of what differs after changes does so in a cluster that began as they left it.
    let without_changes = Case { objects: failure.objects, changes: Vec::new(), ..case.clone() };
    let case =
        if fails(&without_changes).is_some_and(|other| other.kind == failure.kind) { without_changes } else { case };
    // An object that is bad now that half of it is gone is no smaller case of the same.
    let smallest = smaller::smallest(case, |case| fails(case).is_some_and(|smaller| smaller.kind == failure.kind));
    let what = fails(&smallest).map_or(failure.what, |failure| failure.what);
    let text = manifests(&smallest);
    let place = match write(seed, &text) {
        Ok(place) => format!("sluice check {}", place.display()),
        Err(error) => error.to_string(),
    };
    format!("seed {seed}: {what}\n{text}\n# {:?}\n# seed {seed}; {place}", smallest.settings)
}

fn write(seed: u64, text: &str) -> std::io::Result<PathBuf> {
    let place = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../target/fuzz/{seed}"));
    std::fs::create_dir_all(&place)?;
    std::fs::write(place.join("cluster.yaml"), text)?;
    place.canonicalize()
}

fn manifests(case: &Case) -> String {
    let mut text = String::new();
    let mut document = |object: &Object, before: &str| {
        let yaml = serde_yaml_ng::to_string(object).unwrap_or_default();
        let _ = writeln!(text, "{before}---");
        for line in yaml.lines() {
            let _ = writeln!(text, "{before}{line}");
        }
    };
    for object in &case.objects {
        document(object, "");
    }
    for change in &case.changes {
        match change {
            Change::Apply(object) => document(object, "# apply "),
            Change::Delete(object) => document(object, "# delete "),
        }
    }
    text
}
