//! EndpointSlices as the cluster's controller makes them, one for each family.

use serde_json::{Value, json};

use super::build::file;
use crate::family::{Addresses, Family};
use crate::topology;

/// What a slice says of an endpoint.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Condition {
    /// It serves.
    Ready,
    /// Its Pod runs, and isn't ready.
    Unready,
    /// Its Pod is being deleted, and still serves.
    Terminating,
    /// Its Pod is being deleted, and serves no longer.
    Ending,
}

/// An endpoint of a Service.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// Name of its node.
    pub node: String,
    /// Its addresses.
    pub addresses: Addresses,
    /// What it is in.
    pub condition: Condition,
    /// Names of the nodes it is meant for.
    pub for_nodes: Vec<&'static str>,
    /// Names of the zones it is meant for.
    pub for_zones: Vec<&'static str>,
}

/// The slices of a Service.
#[derive(Clone, Debug)]
pub struct Slices {
    /// Name of the Service.
    pub service: String,
    /// Names, protocols and numbers of its endpoints' ports.
    pub ports: Vec<(&'static str, &'static str, u16)>,
    /// Its endpoints.
    pub endpoints: Vec<Endpoint>,
}

impl Slices {
    /// The documents of one YAML file.
    #[must_use]
    pub fn to_file(&self) -> String {
        file(&self.objects())
    }

    /// The slices, one for each family.
    #[must_use]
    pub fn objects(&self) -> [Value; 2] {
        Family::BOTH.map(|family| self.of(family))
    }

    fn of(&self, family: Family) -> Value {
        let port = |(name, protocol, port): &(_, _, _)| json!({"name": name, "protocol": protocol, "port": port});
        let labels = json!({"kubernetes.io/service-name": self.service});
        json!({
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {"name": format!("{}-{family}", self.service).to_lowercase(), "labels": labels},
            "addressType": family.to_string(),
            "endpoints": self.endpoints.iter().map(|endpoint| endpoint.of(family)).collect::<Vec<_>>(),
            "ports": self.ports.iter().map(port).collect::<Vec<_>>(),
        })
    }
}

impl Endpoint {
    /// One with the addresses of `index` on a node, meant for all.
    #[must_use]
    pub fn new(node: u8, index: u8, condition: Condition) -> Self {
        Self {
            node: format!("node{node}"),
            addresses: topology::pod(node, index),
            condition,
            for_nodes: Vec::new(),
            for_zones: Vec::new(),
        }
    }

    fn of(&self, family: Family) -> Value {
        let mut endpoint = json!({
            "addresses": [self.addresses.of(family)],
            "nodeName": self.node,
            "conditions": self.condition.to_json(),
        });
        // Servers of versions that don't know a hint refuse even an empty one.
        for (hint, names) in [("forNodes", &self.for_nodes), ("forZones", &self.for_zones)] {
            if !names.is_empty() {
                endpoint["hints"][hint] = names.iter().map(|name| json!({"name": name})).collect();
            }
        }
        endpoint
    }
}

impl Condition {
    fn to_json(self) -> Value {
        let (ready, serving, terminating) = match self {
            Self::Ready => (true, true, false),
            Self::Unready => (false, false, false),
            Self::Terminating => (false, true, true),
            Self::Ending => (false, false, true),
        };
        json!({"ready": ready, "serving": serving, "terminating": terminating})
    }
}
