//! From programs to rules and back while connections are made.

use std::time::Duration;

use anyhow::Result;
use lab::traffic::{Ask, Background};
use lab::{Agent, AgentOptions, Cluster, Family, Mode, SocketLb};

use crate::scene::{WEB, cluster, there};

/// Pause of each client between two connections.
const EVERY: Duration = Duration::from_millis(20);
/// TCP sends a SYN again after a second: a request that takes longer has lost one.
const TIMEOUT: Duration = Duration::from_millis(900);

fn options(mode: Mode) -> AgentOptions {
    AgentOptions { mode, ..SocketLb::Off.into() }
}

/// A pod, a node and the client outside connect to the Service, in both families.
fn load(cluster: &Cluster) -> Result<Vec<Background>> {
    let (pod, node) = (cluster.pod("asker")?, cluster.lab().node("node1")?);
    let mut load = Vec::new();
    for family in Family::BOTH {
        let cluster_ip = Ask::new(cluster.cluster_ip(WEB, family)?).every(EVERY).timeout(TIMEOUT);
        let node_port = Ask::new(cluster.node_port("node1", WEB, family)?).every(EVERY).timeout(TIMEOUT);
        load.extend([
            pod.http_load(&cluster_ip)?,
            node.http_load(&cluster_ip)?,
            cluster.lab().client().http_load(&node_port)?,
        ]);
    }
    Ok(load)
}

#[test]
fn no_new_connection_fails_when_the_mode_is_switched_and_nothing_of_the_other_is_left() -> Result<()> {
    let cluster = cluster()?;
    let (lab, node) = (cluster.lab(), cluster.lab().node("node1")?);
    let _other = Agent::start(lab, lab.node("node2")?, &options(Mode::Ebpf))?;
    let mut agent = Agent::start(lab, node, &options(Mode::Ebpf))?;
    assert_eq!(there(node)?, [Mode::Ebpf]);
    let load = load(&cluster)?;
    for mode in [Mode::Iptables, Mode::Ebpf, Mode::Iptables] {
        agent.terminate()?;
        agent = Agent::start(lab, node, &options(mode))?;
        lab::eventually("what is there of either mode", &vec![mode], || there(node))?;
    }
    for client in load {
        let outcomes = client.stop()?;
        let failed: Vec<_> = outcomes.iter().enumerate().filter(|(_, outcome)| outcome.is_err()).collect();
        assert!(failed.is_empty() && outcomes.len() > 10, "of {}: {failed:?}", outcomes.len());
    }
    Ok(())
}

#[test]
fn cleanup_removes_what_there_is_of_either_mode() -> Result<()> {
    for mode in [Mode::Ebpf, Mode::Iptables] {
        let cluster = cluster()?;
        let (lab, node) = (cluster.lab(), cluster.lab().node("node1")?);
        let mut agent = Agent::start(lab, node, &options(mode))?;
        assert_eq!(there(node)?, [mode]);
        agent.terminate()?;
        crate::scene::sluice(node, &["cleanup"])?;
        let saved = node.run(&["iptables-save"])? + &node.run(&["ip6tables-save"])?;
        assert!(!saved.contains("SLUICE-"), "{saved}");
        assert_eq!(node.run(&["ipset", "list", "-n"])?, "");
    }
    Ok(())
}
