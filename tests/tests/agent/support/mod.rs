//! What the suites share: objects to write, and ways to ask the agent, the command line and the kernel.

pub(crate) mod health;
pub(crate) mod kernel;
pub(crate) mod policies;
pub(crate) mod status;

use std::path::Path;
use std::process::Output;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
pub(crate) use lab::LIMIT;
use lab::Node;
pub(crate) use lab::manifests::build as objects;
use serde_json::Value;

/// Waits until `look` sees `expected`, and returns how long that took; what it saw last is the error.
pub(crate) fn eventually<T: PartialEq + std::fmt::Debug>(
    what: &str,
    expected: &T,
    look: impl Fn() -> Result<T>,
) -> Result<Duration> {
    lab::eventually(what, expected, look)
}

/// The JSON that a command prints; an error unless it succeeds.
pub(crate) fn json(node: &Node, arguments: &[&str]) -> Result<Value> {
    let output = node.sluice(&[arguments, &["-o", "json"]].concat())?;
    ensure!(output.status.success(), "sluice {}: {}: {}", arguments.join(" "), output.status, stderr(&output));
    serde_json::from_slice(&output.stdout).with_context(|| stdout(&output))
}

pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// `IP:port` of the endpoints of a Service in the tables of a node, sorted; none of one that isn't there (yet).
pub(crate) fn endpoints(node: &Node, service: &str) -> Result<Vec<String>> {
    let list = json(node, &["get", "endpoints"])?;
    let of_service = list["items"].as_array().into_iter().flatten().filter(|item| item["name"] == service);
    let all = of_service.filter_map(|item| item["endpoints"].as_array());
    let mut addresses: Vec<_> =
        all.flatten().filter_map(|endpoint| endpoint["address"].as_str()).map(ToOwned::to_owned).collect();
    addresses.sort();
    Ok(addresses)
}

/// A node's bpffs, which every node has.
pub(crate) fn bpffs(node: &Node) -> &Path {
    node.bpffs().expect("a node has a bpffs")
}
