//! What the rules need to know of the node beyond the tables.

use ipnetwork::IpNetwork;
use proxy_common::addr::Family;

/// The node, as the rules of Services see it. Its addresses are in `ADDRESSES`.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Node {
    /// Ranges that its pods have their addresses from: how a client's address tells whether it is a pod of this node
    /// (kube-proxy's `--detect-local-mode=NodeCIDR`). Where there is none of a family, no client of it counts as one.
    pub pod_cidrs: Vec<IpNetwork>,
}

impl Node {
    /// The ranges of a family, as rules have them.
    pub(super) fn pods(&self, family: Family) -> impl Iterator<Item = String> {
        let of_family = self.pod_cidrs.iter().filter(move |it| it.is_ipv4() == (family == Family::V4));
        of_family.map(|cidr| format!("{}/{}", cidr.network(), cidr.prefix()))
    }
}
