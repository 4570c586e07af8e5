//! A node that passes connections on under its own address still has all its ports for itself.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Result;
use lab::traffic::Ask;
use lab::{Cluster, Family, Lab, SocketLb};

/// Source port of the outside client, which is kept when it is passed on, and of the node.
const PORT: u16 = 45_000;

/// One server, on the second node, behind a NodePort.
const OBJECTS: &str = r#"
{"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": {
  "type": "NodePort", "ipFamilyPolicy": "RequireDualStack",
  "clusterIP": "10.96.0.10", "clusterIPs": ["10.96.0.10", "fd00:10:96::10"],
  "selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8080, "nodePort": 30080}]}}
---
{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web", "labels": {"app": "web"}}, "spec": {
  "nodeName": "node2", "containers": [{"name": "server", "ports": [{"containerPort": 8080}]}]},
 "status": {"podIPs": [{"ip": "10.244.2.10"}, {"ip": "fd00:10:244:2::10"}],
  "conditions": [{"type": "Ready", "status": "True"}]}}
"#;

fn cluster(socket_lb: SocketLb) -> Result<Cluster> {
    let lab = Lab::builder().build()?;
    lab.manifests().write("web.yaml", OBJECTS)?;
    Ok(Cluster::start(lab, socket_lb)?)
}

/// A client outside is passed on by node1; then node1 itself connects from the port that was used for it.
#[test]
fn node_connects_from_a_port_that_it_passed_a_client_on_under() -> Result<()> {
    for socket_lb in SocketLb::BOTH {
        let cluster = cluster(socket_lb)?;
        let node = cluster.lab().node("node1")?;
        for family in Family::BOTH {
            let outside = SocketAddr::new(cluster.lab().client_addresses().of(family), PORT);
            let passed_on = Ask::new(cluster.node_port("node1", "web", family)?).from(outside);
            let seen = cluster.lab().client().http(&passed_on)?.client;
            assert_eq!(seen.ip(), node.addresses().of(family));

            let pod = SocketAddr::new(cluster.pod("web")?.addresses().of(family), 8080);
            for to in [pod, cluster.cluster_ip("web", family)?] {
                let ask = Ask::new(to).from(seen).timeout(Duration::from_secs(1));
                let answer = node.http(&ask);
                assert!(answer.is_ok(), "{socket_lb}: {to} from {seen}: {}", answer.unwrap_err());
            }
        }
    }
    Ok(())
}
