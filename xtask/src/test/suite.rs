//! The groups of tests as runs of `cargo test`.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result};

use super::targets::Targets;
use crate::process;
use crate::tally::Tally;

/// Unit and property tests, then the examples in the documentation.
pub(super) fn unit(filter: Option<&str>) -> Result<Tally> {
    let mut tests = cargo_test();
    tests.args(["--lib", "--bins"]).args(select(&Targets::discover()?.unit));
    let mut tally = count(tests.arg("--").args(filter))?;
    tally += count(cargo_test().args(["--doc", "--"]).args(filter))?;
    Ok(tally)
}

/// Program rows.
pub(super) fn program(filter: Option<&str>) -> Result<Tally> {
    privileged(&Targets::discover()?.program, filter, None)
}

/// Lab suites; those of Services and policies in every configuration on demand.
pub(super) fn lab(filter: Option<&str>, all_configurations: bool) -> Result<Tally> {
    let environment = all_configurations.then_some(("LAB_ALL_CONFIGURATIONS", "1"));
    let mut tally = privileged(&Targets::discover()?.lab, filter, environment)?;
    tally += real_api_server(filter)?;
    Ok(tally)
}

/// The suites that take a real etcd and kube-apiserver; left out, in so many words, where there are none.
fn real_api_server(filter: Option<&str>) -> Result<Tally> {
    if filter.is_some_and(|word| !"real_api_server".contains(word)) {
        return Ok(Tally::default());
    }
    if std::env::var_os("KUBEBUILDER_ASSETS").is_none() {
        println!("left out: the API server suite on a real one (KUBEBUILDER_ASSETS names no etcd and kube-apiserver)");
        return Ok(Tally::default());
    }
    count(cargo_test().args(["--test", "api_server", "--", "--ignored", "--test-threads=1", "real_api_server"]))
}

/// One test at a time: they measure the machine's kernel, and load it.
fn privileged(targets: &[String], filter: Option<&str>, environment: Option<(&str, &str)>) -> Result<Tally> {
    if targets.is_empty() {
        return Ok(Tally::default());
    }
    let mut tests = cargo_test();
    tests.envs(environment).args(select(targets)).args(["--", "--test-threads=1"]);
    count(tests.args(filter))
}

/// The same packages in every run, so that features are resolved, and dependencies built, once.
pub(crate) fn cargo_test() -> Command {
    let mut command = process::cargo();
    // An error of a test says what it was doing; where it was created is a hundred lines that bury it.
    command.env("RUST_LIB_BACKTRACE", "0");
    command.args(["test", "--workspace", "--exclude", "proxy-ebpf", "--no-fail-fast"]);
    command
}

fn select(targets: &[String]) -> impl Iterator<Item = &str> {
    targets.iter().flat_map(|target| ["--test", target])
}

/// Runs tests, shows what they print, and counts them. A run that fails without a failed test (it didn't compile, or a test
/// took the process down) counts as one.
pub(crate) fn count(command: &mut Command) -> Result<Tally> {
    let mut child = command.stdout(Stdio::piped()).spawn().context("cannot start cargo test")?;
    let mut tally = Tally::default();
    for line in BufReader::new(child.stdout.take().context("cargo test has no stdout")?).lines() {
        let line = line.context("cannot read what cargo test prints")?;
        println!("{line}");
        tally += Tally::from_summary(&line).unwrap_or_default();
    }
    let status = child.wait().context("cannot wait for cargo test")?;
    if !status.success() && tally.failed == 0 {
        tally += Tally::one(false);
    }
    Ok(tally)
}
