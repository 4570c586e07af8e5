//! Which test targets the workspace has, by asking cargo: a new file in `tests/` is run without being listed anywhere.

use anyhow::{Context as _, Result};
use serde::Deserialize;

use crate::process;

/// The package of the privileged tests.
const PRIVILEGED: &str = "sluice-tests";

/// Names of the integration tests, by what they need.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Targets {
    /// Of every other package.
    pub(super) unit: Vec<String>,
    /// Of sluice-tests, called `program` or `program_...`.
    pub(super) program: Vec<String>,
    /// Of sluice-tests, all others.
    pub(super) lab: Vec<String>,
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    targets: Vec<Target>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
    kind: Vec<String>,
}

impl Targets {
    pub(super) fn discover() -> Result<Self> {
        let text = process::output(process::cargo().args(["metadata", "--no-deps", "--format-version", "1"]))?;
        Self::parse(&text)
    }

    fn parse(text: &str) -> Result<Self> {
        let metadata: Metadata = serde_json::from_str(text).context("cannot read what `cargo metadata` says")?;
        let mut found = Self::default();
        for package in metadata.packages {
            for target in package.targets.into_iter().filter(|target| target.kind.iter().any(|kind| kind == "test")) {
                let group = match (package.name.as_str(), target.name.split('_').next()) {
                    (PRIVILEGED, Some("program")) => &mut found.program,
                    (PRIVILEGED, _) => &mut found.lab,
                    _ => &mut found.unit,
                };
                group.push(target.name);
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_grouped_by_package_and_name() {
        let text = r#"{"packages":[
            {"name":"sluice-tests","targets":[{"name":"lab","kind":["lib"]},{"name":"program_tc","kind":["test"]},
                {"name":"restart","kind":["test"]},{"name":"programme","kind":["test"]}]},
            {"name":"proxy-user","targets":[{"name":"manifests","kind":["test"]}]}]}"#;
        let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        let expected = Targets {
            unit: names(&["manifests"]),
            program: names(&["program_tc"]),
            lab: names(&["restart", "programme"]),
        };
        assert_eq!(Targets::parse(text).unwrap(), expected);
    }
}
