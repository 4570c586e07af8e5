//! Nodes.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnetwork::IpNetwork;

/// A Node.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Node {
    /// Name.
    pub name: String,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Addresses of type `InternalIP`, in the order of the object.
    pub internal_ips: Vec<IpAddr>,
    /// Ranges its pods have addresses from, one of a family at most.
    pub pod_cidrs: Vec<IpNetwork>,
    /// It has a `deletionTimestamp`.
    pub terminating: bool,
    /// It has the taint `ToBeDeletedByClusterAutoscaler`, whatever the effect.
    pub to_be_deleted: bool,
}

impl Node {
    /// Whether load balancers may send traffic to it (8.15 of kube-proxy's rules). Other taints don't matter: they are
    /// about which Pods run there.
    #[must_use]
    pub const fn is_eligible(&self) -> bool {
        !self.terminating && !self.to_be_deleted
    }
}

impl Node {
    /// Its zone, where its label names one.
    #[must_use]
    pub fn zone(&self) -> Option<&str> {
        self.labels.get("topology.kubernetes.io/zone").map(String::as_str).filter(|zone| !zone.is_empty())
    }
}
