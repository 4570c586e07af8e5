//! Names of all tests in the tree, as the test runner prints them, with the crate or the suite first.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};

use crate::workspace;

/// Every test: `services::node_port::NAME` of a suite, `proxy-user model::cluster::tests::NAME` of a crate.
pub(super) fn all() -> Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    for file in workspace::sources()? {
        let text = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        names.extend(in_file(file.strip_prefix(workspace::root()).unwrap_or(&file), &text));
    }
    Ok(names)
}

/// The tests of one file, whose path is relative to the workspace.
fn in_file(path: &Path, text: &str) -> Vec<String> {
    let prefix = prefix(path);
    let (mut names, mut in_tests, mut is_test) = (Vec::new(), "", false);
    for line in text.lines() {
        let code = line.trim_start();
        if line.ends_with("mod tests {") {
            in_tests = "tests::";
        } else if code == "#[test]" || code.starts_with("#[tokio::test") {
            is_test = true;
        } else if let Some(name) = is_test.then(|| name_of_function(code)).flatten() {
            names.push(format!("{prefix}{in_tests}{name}"));
            is_test = false;
        }
    }
    names
}

fn name_of_function(code: &str) -> Option<&str> {
    let (_, name) = code.split_once("fn ")?;
    name.split_once('(').map(|(name, _)| name)
}

/// Crate and modules of a file, up to what stands before a test's own name.
fn prefix(path: &Path) -> String {
    let path = path.with_extension("");
    let parts: Vec<_> = path.iter().map(|part| part.to_string_lossy().into_owned()).collect();
    let (of, modules) = match parts.as_slice() {
        [package, src, modules @ ..] if src == "src" => (format!("{package} "), modules),
        [tests, also, modules @ ..] if tests == "tests" && also == "tests" => (String::new(), modules),
        [_, tests, modules @ ..] if tests == "tests" => (String::new(), modules),
        other => (String::new(), other),
    };
    let named = modules.iter().filter(|module| !["main", "mod", "lib"].contains(&module.as_str()));
    named.fold(of, |prefix, module| prefix + module + "::")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_is_named_by_its_file_and_the_module_in_it() {
        let text = "\
fn helper() {}
#[test]
fn outside() {}
mod tests {
    #[tokio::test]
    #[ignore]
    async fn inside() -> Result<()> {}
    fn no_test() {}
}";
        for (path, expected) in [
            ("proxy-user/src/model/mod.rs", ["proxy-user model::outside", "proxy-user model::tests::inside"]),
            ("proxy-user/src/lib.rs", ["proxy-user outside", "proxy-user tests::inside"]),
            ("proxy-user/tests/cli.rs", ["cli::outside", "cli::tests::inside"]),
            ("tests/tests/services/dns.rs", ["services::dns::outside", "services::dns::tests::inside"]),
            ("tests/tests/flood.rs", ["flood::outside", "flood::tests::inside"]),
        ] {
            assert_eq!(in_file(Path::new(path), text), expected);
        }
    }
}
