//! A Service with an endpoint on each of two nodes, and what either mode leaves on a node.

use anyhow::{Result, ensure};
use lab::manifests::build;
use lab::{Cluster, Lab, Mode, Node};
use serde_json::Value;

/// The Service.
pub(crate) const WEB: &str = "web";

/// The cluster without agents, and a policy that isolates nobody who is asked.
pub(crate) fn cluster() -> Result<Cluster> {
    let lab = Lab::builder().build()?;
    let objects = [
        build::client("asker", 1, 20),
        build::pod("web-1", WEB, 1, 10),
        build::pod("web-2", WEB, 2, 10),
        build::on_nodes(build::service(WEB, 10, &build::http()), &[30_080]),
    ];
    lab.manifests().write("cluster.yaml", &build::file(&objects))?;
    Ok(Cluster::without_agents(lab)?)
}

/// What a command that succeeds prints.
pub(crate) fn sluice(node: &Node, arguments: &[&str]) -> Result<String> {
    let output = node.sluice(arguments)?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "sluice {} on {}: {errors}", arguments.join(" "), node.name());
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// `sluice status`.
pub(crate) fn status(node: &Node) -> Result<Value> {
    Ok(serde_json::from_str(&sluice(node, &["status", "-o", "json"])?)?)
}

/// The modes of which a node has links, chains or sets.
pub(crate) fn there(node: &Node) -> Result<Vec<Mode>> {
    let links = status(node)?["kernel"]["links"].as_array().is_some_and(|links| !links.is_empty());
    let rules = [&["iptables-save"][..], &["ip6tables-save"], &["ipset", "list", "-n"]];
    let mut saved = String::new();
    for command in rules {
        saved += &node.run(command)?;
    }
    let modes = [(Mode::Ebpf, links), (Mode::Iptables, saved.contains("SLUICE-"))];
    Ok(modes.into_iter().filter_map(|(mode, is_there)| is_there.then_some(mode)).collect())
}
