//! Our renderer beside Helm's, on machines that have a `helm`.

use std::collections::BTreeMap;
use std::io;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize as _;
use serde_json::Value;

use crate::support::{Objects, VARIANTS, strictly};

/// What `helm template` makes with these values; `None` where there is no Helm.
fn by_helm(assignments: &[&str]) -> Result<Option<Vec<Value>>> {
    let chart = concat!(env!("CARGO_MANIFEST_DIR"), "/helm/sluice");
    let mut values = deploy::Values::defaults()?;
    for assignment in assignments {
        values.assign(assignment)?;
    }
    let file = tempfile::NamedTempFile::new()?;
    std::fs::write(file.path(), values.to_string())?;
    let mut helm = Command::new("helm");
    helm.args(["template", "sluice", chart, "--namespace", "sluice", "--values"]).arg(file.path());
    let output = match helm.output() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        output => output.context("cannot start helm")?,
    };
    ensure!(output.status.success(), "helm template: {}", String::from_utf8_lossy(&output.stderr));
    let documents = serde_yaml_ng::Deserializer::from_slice(&output.stdout);
    Ok(Some(documents.map(Value::deserialize).collect::<Result<_, _>>()?))
}

/// Helm sorts by kinds of its own order, which says nothing here.
fn by_kind(objects: Vec<Value>) -> BTreeMap<String, Value> {
    objects.into_iter().map(|object| (format!("{} {}", object["kind"], object["metadata"]["name"]), object)).collect()
}

#[test]
fn where_there_is_a_helm_it_makes_the_same() -> Result<()> {
    for (name, assignments) in VARIANTS {
        let Some(objects) = by_helm(assignments).with_context(|| name.to_owned())? else {
            println!("there is no helm here");
            return Ok(());
        };
        objects.iter().try_for_each(strictly)?;
        assert_eq!(by_kind(objects), by_kind(Objects::rendered(assignments)?.0), "{name}");
    }
    Ok(())
}
