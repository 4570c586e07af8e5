//! Policies of many rules, as benchmarks ask through them.

use serde_json::{Value, json};

use super::build::{self, pod};

/// Name and label of the pod that the last rule of each policy lets in.
pub const CLIENT: &str = "asking-pod";

/// A policy of so many rules for the pods with `app: <app>`, of which only the last lets the client in.
#[must_use]
pub fn policy(app: &str, rules: u32) -> Value {
    let rule = |number: u32| {
        let peer = if number + 1 == rules { CLIENT.to_owned() } else { format!("peer-{number}") };
        let port = if number + 1 == rules { build::HTTP.into() } else { 1_000 + number % 50_000 };
        json!({
            "from": [{"podSelector": {"matchLabels": {"app": peer}}}],
            "ports": [{"protocol": "TCP", "port": port}],
        })
    };
    json!({
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": app, "namespace": "default"},
        "spec": {
            "podSelector": {"matchLabels": {"app": app}},
            "policyTypes": ["Ingress"],
            "ingress": (0..rules).map(rule).collect::<Vec<_>>(),
        },
    })
}

/// A Pod of `node1` for which the lab starts no servers, with its name as its label `app`.
#[must_use]
pub fn without_servers(name: &str, index: u8) -> Value {
    let mut object = pod(name, name, 1, index);
    object["spec"]["containers"][0]["ports"] = json!([]);
    object
}
