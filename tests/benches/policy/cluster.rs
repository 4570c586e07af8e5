//! The objects.

use lab::manifests::build;
use serde_json::{Value, json};

/// Label of who is let in, by the last rule.
pub(crate) const CLIENT: &str = "asking-pod";

/// A policy of so many rules for the pods with `app: <app>`, of which only the last lets the client in.
pub(crate) fn policy(app: &str, rules: u32) -> Value {
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
