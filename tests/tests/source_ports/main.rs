//! A node that passes connections on under its own address: all its ports serve, and those of its own sockets stay theirs.

mod many_clients;
mod own_ports;

use anyhow::Result;
use lab::{Cluster, Lab, SocketLb};

/// One pod, on the second node, behind a NodePort: a web server, and a port where tests put servers of their own.
const OBJECTS: &str = r#"
{"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": {
  "type": "NodePort", "ipFamilyPolicy": "RequireDualStack",
  "clusterIP": "10.96.0.10", "clusterIPs": ["10.96.0.10", "fd00:10:96::10"],
  "selector": {"app": "web"}, "ports": [
    {"name": "http", "port": 80, "targetPort": 8080, "nodePort": 30080},
    {"name": "datagrams", "protocol": "UDP", "port": 80, "targetPort": 9000, "nodePort": 30080},
    {"name": "connections", "port": 81, "targetPort": 9000, "nodePort": 30081}]}}
---
{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web", "labels": {"app": "web"}}, "spec": {
  "nodeName": "node2", "containers": [{"name": "server", "ports": [{"containerPort": 8080}]}]},
 "status": {"podIPs": [{"ip": "10.244.2.10"}, {"ip": "fd00:10:244:2::10"}],
  "conditions": [{"type": "Ready", "status": "True"}]}}
"#;

pub(crate) fn cluster(socket_lb: SocketLb) -> Result<Cluster> {
    let lab = Lab::builder().build()?;
    lab.manifests().write("web.yaml", OBJECTS)?;
    Ok(Cluster::start(lab, socket_lb)?)
}
