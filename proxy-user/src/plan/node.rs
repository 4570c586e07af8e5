//! What the node's own addresses are to the programs.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use proxy_common::addr::{Addr, Family};
use proxy_common::tables::{Address, address_flags};

use crate::model::{Eligible, NodePortAddresses};

/// Where node ports are to be served.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NodePorts {
    /// On which of the node's addresses.
    pub addresses: NodePortAddresses,
    /// On loopback too, where [`NodePorts::addresses`] let them.
    pub localhost: bool,
}

impl NodePorts {
    /// The node's part of `ADDRESSES`: `interfaces` are the addresses that its interfaces have, loopback left out, and
    /// `internal_ips` those of type `InternalIP` in its Node object.
    #[must_use]
    pub fn entries(&self, interfaces: &BTreeSet<IpAddr>, internal_ips: &[IpAddr]) -> BTreeMap<Addr, Address> {
        let mut entries = BTreeMap::new();
        for of in [Family::V4, Family::V6] {
            let eligible = self.eligible(of, internal_ips);
            let loopback = (of.loopback(), self.localhost && eligible.holds_loopback(of));
            let own = interfaces.iter().map(|ip| (Addr::from(*ip), eligible.holds(*ip)));
            let own = own.filter(|(addr, _)| addr.family() == of);
            entries.extend(own.chain([loopback]).map(|(addr, serves)| (addr, entry(serves))));
        }
        entries
    }

    /// Which addresses of the family `of` are served.
    #[must_use]
    pub fn eligible(&self, of: Family, internal_ips: &[IpAddr]) -> Eligible {
        self.addresses.eligible(of, internal_ips)
    }
}

fn entry(serves_node_ports: bool) -> Address {
    let node_port = if serves_node_ports { address_flags::NODE_PORT } else { 0 };
    Address { flags: address_flags::NODE | node_port }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::fixtures::ip;

    /// Addresses that node ports are served on, of a node that has one of each family and its Node object only IPv4's.
    fn served(addresses: &[&str], localhost: bool) -> Vec<String> {
        let addresses: Vec<_> = addresses.iter().map(|text| (*text).to_owned()).collect();
        let node_ports = NodePorts { addresses: NodePortAddresses::parse(&addresses).unwrap(), localhost };
        let interfaces = BTreeSet::from([ip("192.0.2.1"), ip("192.0.2.2"), ip("2001:db8::1")]);
        let entries = node_ports.entries(&interfaces, &[ip("192.0.2.1")]);
        assert!(entries.len() == 5 && entries.values().all(|it| it.is(address_flags::NODE)), "{entries:?}");
        let served = entries.into_iter().filter(|(_, it)| it.is(address_flags::NODE_PORT));
        served.map(|(addr, _)| addr.to_string()).collect()
    }

    #[test]
    fn node_ports_are_served_where_the_operator_lets_them() {
        assert_eq!(served(&[], true), ["::1", "127.0.0.1", "192.0.2.1", "192.0.2.2", "2001:db8::1"]);
        assert_eq!(served(&[], false), ["192.0.2.1", "192.0.2.2", "2001:db8::1"]);
        assert_eq!(served(&["192.0.2.2/32", "127.0.0.0/8", "fd00::/64"], true), ["127.0.0.1", "192.0.2.2"]);
        assert_eq!(served(&["primary"], true), ["192.0.2.1"]);
    }
}
