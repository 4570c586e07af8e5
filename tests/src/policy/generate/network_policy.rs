//! Policies.

use k8s_openapi::api::networking::v1::NetworkPolicy;
use serde_json::{Map, Value, json};

use super::pod::NAMED;
use super::{Generator, NAMESPACES, object};
use crate::policy::case::Objects;

/// Numbers of ports that pods have, and those at the ends of the world.
pub(super) const PORTS: [u16; 9] = [1, 53, 80, 443, 7000, 8080, 8081, 9090, 65535];

const RANGES: [(u16, u16); 8] =
    [(80, 80), (80, 90), (8080, 8081), (79, 8080), (1, 65535), (32768, 65535), (9000, 9090), (1, 1023)];

impl Generator {
    /// A policy of one of a few names, so that one takes another's place now and then.
    pub(super) fn network_policy(&mut self, objects: &Objects) -> NetworkPolicy {
        let types = self.one_of(&[
            Value::Null,
            json!([]),
            json!(["Ingress"]),
            json!(["Egress"]),
            json!(["Ingress", "Egress"]),
            json!(["Egress", "Ingress"]),
        ]);
        let mut spec = Map::new();
        spec.insert("podSelector".to_owned(), self.pod_selector());
        spec.insert("policyTypes".to_owned(), types);
        for (direction, peers) in [("ingress", "from"), ("egress", "to")] {
            if self.chance(70) {
                let rules = self.list(0..=3, |make| make.rule(objects, peers));
                spec.insert(direction.to_owned(), rules.into());
            }
        }
        let annotations = self.annotations(15);
        let (name, namespace) = (format!("policy-{}", self.rng.u32(0..12)), self.one_of(&NAMESPACES));
        object(json!({
            "metadata": {"name": name, "namespace": namespace, "annotations": annotations},
            "spec": spec,
        }))
    }

    /// A rule; each of its lists may be absent, empty, or not.
    fn rule(&mut self, objects: &Objects, peers: &str) -> Value {
        let mut rule = Map::new();
        if self.chance(80) {
            let list = self.list(0..=3, |make| make.peer(objects));
            rule.insert(peers.to_owned(), list.into());
        }
        if self.chance(70) {
            let list = self.list(0..=3, Self::port);
            rule.insert("ports".to_owned(), list.into());
        }
        rule.into()
    }

    fn peer(&mut self, objects: &Objects) -> Value {
        match self.rng.u32(0..100) {
            0..35 => json!({"ipBlock": self.ip_block(objects)}),
            35..60 => json!({"podSelector": self.pod_selector()}),
            60..75 => json!({"namespaceSelector": self.namespace_selector()}),
            _ => json!({"namespaceSelector": self.namespace_selector(), "podSelector": self.pod_selector()}),
        }
    }

    fn port(&mut self) -> Value {
        let protocol = self.one_of(&[None, Some("TCP"), Some("UDP"), Some("SCTP")]);
        match self.rng.u32(0..100) {
            0..10 => json!({"protocol": protocol}),
            10..45 => json!({"protocol": protocol, "port": self.one_of(&PORTS)}),
            45..65 => {
                let (first, last) = self.one_of(&RANGES);
                json!({"protocol": protocol, "port": first, "endPort": last})
            }
            65..95 => {
                let (name, usual, _) = self.one_of(&NAMED);
                let protocol = if self.chance(75) { Some(usual) } else { protocol };
                json!({"protocol": protocol, "port": name})
            }
            _ => json!({"protocol": protocol, "port": "unheard-of"}),
        }
    }
}
