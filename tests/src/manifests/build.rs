//! Kubernetes objects in few words. JSON is YAML, so they can be written to any manifest.

use serde_json::{Value, json};

use crate::plumb::pod_cidrs;
use crate::topology;

/// Port of the pods' web servers.
pub const HTTP: u16 = 8080;
/// Port of the pods' UDP servers.
pub const UDP: u16 = 5353;

/// A ready Pod with the addresses of `index` on its node, which serves HTTP and UDP, named `http` and `dns`.
#[must_use]
pub fn pod(name: &str, app: &str, node: u8, index: u8) -> Value {
    let ips: Vec<_> = topology::pod(node, index).iter().map(|ip| json!({"ip": ip})).collect();
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": app}},
        "spec": {
            "nodeName": format!("node{node}"),
            "containers": [{"name": "server", "image": "lab", "ports": [
                {"name": "http", "containerPort": HTTP},
                {"name": "dns", "containerPort": UDP, "protocol": "UDP"},
            ]}],
        },
        "status": {
            "podIP": ips[0]["ip"],
            "podIPs": ips,
            "conditions": [{"type": "Ready", "status": "True"}],
        },
    })
}

/// A Pod that only asks.
#[must_use]
pub fn client(name: &str, node: u8, index: u8) -> Value {
    let mut pod = pod(name, "client", node, index);
    pod["spec"]["containers"][0]["ports"] = json!([]);
    pod
}

/// A dual-stack Service at `10.96.0.<number>` and `fd00:10:96::<number>`, whose pods have the label `app` of its name.
#[must_use]
pub fn service(name: &str, number: u8, ports: &Value) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {
            "type": "ClusterIP",
            "ipFamilyPolicy": "RequireDualStack",
            "clusterIP": format!("10.96.0.{number}"),
            "clusterIPs": [format!("10.96.0.{number}"), format!("fd00:10:96::{number}")],
            "selector": {"app": name},
            "ports": ports,
        },
    })
}

/// A Service's port 80, served by the pods' web servers.
#[must_use]
pub fn http() -> Value {
    json!([{"name": "http", "port": 80, "targetPort": HTTP}])
}

/// The Node `node<number>` as the lab has it: the ranges of its pods, and its own addresses.
#[must_use]
pub fn node(number: u8) -> Value {
    let ranges: Vec<_> = pod_cidrs(number).collect();
    let addresses: Vec<_> =
        topology::node(number).iter().map(|ip| json!({"type": "InternalIP", "address": ip})).collect();
    json!({
        "apiVersion": "v1", "kind": "Node", "metadata": {"name": format!("node{number}")},
        "spec": {"podCIDR": ranges[0], "podCIDRs": ranges}, "status": {"addresses": addresses},
    })
}

/// Opens a Service's ports on the nodes.
#[must_use]
pub fn on_nodes(mut service: Value, node_ports: &[u16]) -> Value {
    service["spec"]["type"] = "NodePort".into();
    for (index, node_port) in node_ports.iter().enumerate() {
        service["spec"]["ports"][index]["nodePort"] = (*node_port).into();
    }
    service
}

/// The documents of one YAML file.
#[must_use]
pub fn file(objects: &[Value]) -> String {
    objects.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n---\n")
}
