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
}
