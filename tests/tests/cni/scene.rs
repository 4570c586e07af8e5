//! A cluster small enough to be built many times: a server and a client on each node, one Service, one policy.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use lab::manifests::build::{HTTP, client, file, http, on_nodes, pod, service};
use lab::traffic::{Ask, Probe, Reached, Target};
use lab::{Cluster, Family, Host, Lab, SocketLb};
use serde_json::json;

use crate::checksums;

const NODE_PORT: u16 = 30080;
/// Requests of which each goes to one of two endpoints: one endpoint gets none of them once in 2^15 runs.
const MANY: u32 = 16;
/// TCP tries again after a second: an answer before that means that the first packet was served.
const FIRST_PACKET: Duration = Duration::from_millis(900);
/// How long silence is listened to.
const SILENCE: Duration = Duration::from_millis(700);

/// Starts the cluster in a lab, its packets translated one by one: what a socket translates needs no interface.
pub(crate) fn start(lab: Lab) -> Result<Cluster> {
    let locked = json!({
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "only-the-friend"},
        "spec": {
            "podSelector": {"matchLabels": {"app": "locked"}},
            "ingress": [{"from": [{"podSelector": {"matchLabels": {"app": "friend"}}}]}],
        },
    });
    let friend = |name, node, index| {
        let mut pod = client(name, node, index);
        pod["metadata"]["labels"]["app"] = json!("friend");
        pod
    };
    let objects = [
        on_nodes(service("web", 10, &http()), &[NODE_PORT]),
        pod("web-1", "web", 1, 10),
        pod("web-2", "web", 2, 11),
        pod("locked-1", "locked", 1, 12),
        pod("locked-2", "locked", 2, 13),
        friend("friend-1", 1, 20),
        friend("friend-2", 2, 21),
        client("stranger-1", 1, 23),
        client("stranger-2", 2, 22),
        locked,
    ];
    lab.manifests().write("cluster.yaml", &file(&objects))?;
    Ok(Cluster::start(lab, SocketLb::Off)?)
}

/// Pods, nodes and the client outside reach both endpoints of the Service; every pod is seen under its own address; and
/// the policy lets the friends in and nobody else, whichever node they are on.
pub(crate) fn serves_and_polices(cluster: &Cluster) -> Result<()> {
    for family in Family::BOTH {
        let service = cluster.cluster_ip("web", family)?;
        for name in ["friend-1", "stranger-2"] {
            let pod = cluster.pod(name)?;
            let seen = clients_seen(pod, service)?;
            assert_eq!(seen, BTreeSet::from([pod.addresses().of(family)]), "{name} {family}");
        }
        for node in cluster.lab().nodes() {
            clients_seen(node, service)?;
            clients_seen(cluster.lab().client(), cluster.node_port(node.name(), "web", family)?)?;
        }
        polices(cluster, family)?;
    }
    checksums::were_right(cluster)
}

/// Asks the Service until both endpoints have answered; whom they saw.
pub(crate) fn clients_seen(from: &Host, to: SocketAddr) -> Result<BTreeSet<IpAddr>> {
    let story = || format!("{from} to {to}");
    let outcomes = from.http_each(&Ask::new(to).times(MANY).timeout(FIRST_PACKET)).with_context(story)?;
    let answers = outcomes.into_iter().collect::<Result<Vec<_>, _>>();
    let answers = answers.map_err(|failure| anyhow!("{failure}")).with_context(story)?;
    let pods: BTreeSet<_> = answers.iter().map(|answer| answer.pod.as_str()).collect();
    assert_eq!(pods, BTreeSet::from(["web-1", "web-2"]), "{}", story());
    Ok(answers.iter().map(|answer| answer.client.ip()).collect())
}

fn polices(cluster: &Cluster, family: Family) -> Result<()> {
    let targets = ["locked-1", "locked-2"]
        .map(|name| Ok(Target { to: SocketAddr::new(cluster.pod(name)?.addresses().of(family), HTTP), udp: false }));
    let targets = targets.into_iter().collect::<Result<Vec<_>>>()?;
    let probe = Probe { targets, timeout: SILENCE };
    for (name, expected) in [
        ("friend-1", Reached::Yes),
        ("friend-2", Reached::Yes),
        ("stranger-1", Reached::Silence),
        ("stranger-2", Reached::Silence),
    ] {
        assert_eq!(cluster.pod(name)?.probe(&probe)?, [expected; 2], "{name} {family}");
    }
    Ok(())
}
