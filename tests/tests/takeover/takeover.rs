//! Connections that a kube-proxy began.

use std::collections::BTreeMap;

use anyhow::Result;
use lab::{AgentOptions, Attachment, Cluster, Family, SocketLb};
use serde_json::Value;

use crate::connection::Connection;
use crate::scene;

#[test]
fn connections_that_a_kube_proxy_began_live_on_when_sluice_takes_its_place() -> Result<()> {
    for attachment in [Attachment::Bridge, Attachment::Routed] {
        let mut cluster = scene::kube_proxys(attachment)?;
        let mut connections = connect(&cluster)?;
        ask_all(&mut connections)?;
        cluster.start_agents(&kubeadms())?;
        ask_all(&mut connections)?;
        assert!(taking_over(&cluster)? > 0, "status tells of them");
        let ignored = status(&cluster)?["agent"]["ignored"].to_string();
        assert!(ignored.contains("\"clusterCIDR\"") && ignored.contains("\"--v\""), "{ignored}");
        for node in cluster.lab().nodes() {
            scene::sluice(node, &["cleanup", "--kube-proxy"])?;
        }
        ask_all(&mut connections)?;
        let mut new = connect(&cluster)?;
        ask_all(&mut new)?;
        ask_all(&mut connections)?;
        assert_eq!(drops(&cluster)?, BTreeMap::new(), "{attachment:?}");
    }
    Ok(())
}

/// As the DaemonSet's command line has it, but for what a lab needs.
fn kubeadms() -> AgentOptions {
    let config = concat!(env!("CARGO_MANIFEST_DIR"), "/../proxy-user/src/config/kube_proxy/kubeadm.yaml");
    let arguments = ["--config", config, "--proxy-mode=iptables", "-v=2"];
    AgentOptions { arguments: arguments.map(String::from).into(), ..SocketLb::On.into() }
}

/// From a pod, from the node, and from outside, through both Services, in both families.
fn connect(cluster: &Cluster) -> Result<Vec<Connection>> {
    let (pod, node, client) = (cluster.pod("asker")?, cluster.lab().node("node1")?, cluster.lab().client());
    let mut connections = Vec::new();
    for family in Family::BOTH {
        for service in ["here", "there"] {
            let (cluster_ip, node_port) =
                (cluster.cluster_ip(service, family)?, cluster.node_port("node1", service, family)?);
            connections.push(Connection::open(pod, cluster_ip)?);
            connections.push(Connection::open(pod, node_port)?);
            connections.push(Connection::open(node, cluster_ip)?);
            connections.push(Connection::open(client, node_port)?);
        }
    }
    Ok(connections)
}

fn ask_all(connections: &mut [Connection]) -> Result<()> {
    connections.iter_mut().try_for_each(|connection| connection.ask().map(drop))
}

fn status(cluster: &Cluster) -> Result<Value> {
    Ok(serde_json::from_str(&scene::sluice(cluster.lab().node("node1")?, &["status", "-o", "json"])?)?)
}

fn taking_over(cluster: &Cluster) -> Result<u64> {
    Ok(status(cluster)?["agent"]["takingOver"].as_u64().unwrap_or_default())
}

fn drops(cluster: &Cluster) -> Result<BTreeMap<String, u64>> {
    let status = status(cluster)?;
    let drops = status["kernel"]["drops"].as_array().into_iter().flatten();
    let counts = drops.map(|drop| (drop["reason"].to_string(), drop["packets"].as_u64().unwrap_or_default()));
    Ok(counts.filter(|(_, packets)| *packets > 0).collect())
}
