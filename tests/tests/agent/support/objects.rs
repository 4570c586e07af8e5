//! Kubernetes objects in few words. JSON is YAML, so they can be written to any manifest.

use lab::topology;
use serde_json::{Value, json};

/// Port of the pods' web servers.
pub(crate) const HTTP: u16 = 8080;
/// Port of the pods' UDP servers.
pub(crate) const UDP: u16 = 5353;

/// A ready Pod with the addresses of `index` on its node, which serves HTTP and UDP, named `http` and `dns`.
pub(crate) fn pod(name: &str, app: &str, node: u8, index: u8) -> Value {
    let ips: Vec<_> = topology::pod(node, index).iter().map(|ip| json!({"ip": ip})).collect();
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": app}},
        "spec": {
            "nodeName": format!("node{node}"),
            "containers": [{"name": "server", "ports": [
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
pub(crate) fn client(name: &str, node: u8, index: u8) -> Value {
    let mut pod = pod(name, "client", node, index);
    pod["spec"]["containers"][0]["ports"] = json!([]);
    pod
}

/// A dual-stack Service at `10.96.0.<number>` and `fd00:10:96::<number>`, whose pods have the label `app` of its name.
pub(crate) fn service(name: &str, number: u8, ports: &Value) -> Value {
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
pub(crate) fn http() -> Value {
    json!([{"name": "http", "port": 80, "targetPort": HTTP}])
}

/// Opens a Service's ports on the nodes.
pub(crate) fn on_nodes(mut service: Value, node_ports: &[u16]) -> Value {
    service["spec"]["type"] = "NodePort".into();
    for (index, node_port) in node_ports.iter().enumerate() {
        service["spec"]["ports"][index]["nodePort"] = (*node_port).into();
    }
    service
}

/// The documents of one YAML file.
pub(crate) fn file(objects: &[Value]) -> String {
    objects.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n---\n")
}
