//! Hints keep traffic on a node or in a zone, where each endpoint has one and some are for us (3.7 to 3.13).

use anyhow::Result;
use lab::manifests::Condition::{Ready, Unready};
use lab::manifests::{Condition, Endpoint};
use lab::{Cluster, EndpointSet, Lab};
use serde_json::json;

use super::cluster::{CLUSTER, Outcome, SERVERS, each_family, endpoints, publish, tell, wait_for};
use crate::protocol::Protocol;

/// What one endpoint's hints are for: nodes, and zones.
type Hints = (&'static [&'static str], &'static [&'static str]);

/// Who serves the clients on each of the three nodes.
type Served = [&'static [&'static str]; 3];

const ONE: &[&str] = &["web-1"];
const TWO: &[&str] = &["web-2"];
const BOTH: &[&str] = &SERVERS;
const NONE: Hints = (&[], &[]);

/// Zones of the nodes; condition and hints of the endpoints on node1 and node2 -> who serves.
struct Row {
    zones: [&'static str; 3],
    conditions: [Condition; 2],
    hints: [Hints; 2],
    served: Served,
}

const ZONES: [&str; 3] = ["a", "b", "c"];
const BY_ZONE: [Hints; 2] = [(&[], &["a"]), (&[], &["b"])];
const BY_NODE: [Hints; 2] = [(&["node1"], &["a"]), (&["node2"], &["b"])];
const READY: [Condition; 2] = [Ready; 2];

const TABLE: [Row; 7] = [
    // A zone without an endpoint is served by all.
    Row { zones: ZONES, conditions: READY, hints: BY_ZONE, served: [ONE, TWO, BOTH] },
    // The third node moves.
    Row { zones: ["a", "b", "b"], conditions: READY, hints: BY_ZONE, served: [ONE, TWO, TWO] },
    // One endpoint is meant for two zones.
    Row { zones: ZONES, conditions: READY, hints: [(&[], &["a", "c"]), (&[], &["b"])], served: [ONE, TWO, ONE] },
    // One endpoint without a hint sets all hints aside.
    Row { zones: ZONES, conditions: READY, hints: [(&[], &["a"]), NONE], served: [BOTH, BOTH, BOTH] },
    // The node first, then the zone, then all.
    Row { zones: ["a", "a", "b"], conditions: READY, hints: BY_NODE, served: [ONE, TWO, TWO] },
    Row { zones: ZONES, conditions: READY, hints: BY_NODE, served: [ONE, TWO, BOTH] },
    // What isn't ready is no endpoint for anybody.
    Row { zones: ZONES, conditions: [Unready, Ready], hints: BY_NODE, served: [TWO, TWO, TWO] },
];

#[test]
fn hints_keep_traffic_on_the_node_else_in_the_zone_else_nowhere() -> Result<()> {
    tell(|cluster| TABLE.iter().try_for_each(|row| check(cluster, row)))
}

fn check(cluster: &Cluster, row: &Row) -> Result<()> {
    put_in_zones(cluster.lab(), row.zones)?;
    publish(cluster.lab(), &hinted(row))?;
    for (number, served) in (1..).zip(row.served) {
        wait_for(cluster, &format!("node{number}"), EndpointSet::Cluster, served)?;
        let pod = cluster.pod(&format!("asker-{number}"))?;
        each_family(|family| {
            let outcome = Outcome::of(pod, Protocol::Tcp, cluster.cluster_ip(CLUSTER, family)?)?;
            assert_eq!(outcome, Outcome::answered_by(served), "{} {family}", pod.name());
            Ok(())
        })?;
    }
    Ok(())
}

fn hinted(row: &Row) -> Vec<Endpoint> {
    let endpoints = endpoints(row.conditions).into_iter().zip(row.hints);
    let hinted = |(endpoint, (nodes, zones)): (Endpoint, Hints)| Endpoint {
        for_nodes: nodes.to_vec(),
        for_zones: zones.to_vec(),
        ..endpoint
    };
    endpoints.map(hinted).collect()
}

fn put_in_zones(lab: &Lab, zones: [&str; 3]) -> Result<()> {
    for (number, zone) in (1..).zip(zones) {
        let name = format!("node{number}");
        let addresses: Vec<_> = lab.node(&name)?.addresses().iter().collect();
        let node = json!({
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": name, "labels": {"topology.kubernetes.io/zone": zone}},
            "status": {"addresses": addresses.iter().map(|it| json!({"type": "InternalIP", "address": it})).collect::<Vec<_>>()},
        });
        lab.manifests().write(&format!("{name}.yaml"), &node.to_string())?;
    }
    Ok(())
}
