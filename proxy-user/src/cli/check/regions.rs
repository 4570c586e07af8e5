//! Addresses that no Pod has, in regions that no policy tells apart.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnetwork::IpNetwork;

use super::cluster::Cluster;

/// The addresses of a network that are in no smaller one that a policy names.
pub(super) struct Region {
    /// The network; `None` for what is outside of all of them.
    pub(super) network: Option<IpNetwork>,
    /// One of the addresses, which neither a Pod nor a node has.
    pub(super) addr: IpAddr,
}

/// The regions of both families, the outside first. A network without an address of its own is none.
pub(super) fn regions(clusters: &[&Cluster]) -> Vec<Region> {
    let named: BTreeSet<IpNetwork> = clusters.iter().flat_map(|it| it.networks()).collect();
    let addresses: Vec<IpNetwork> = clusters.iter().flat_map(|it| it.addresses()).map(IpNetwork::from).collect();
    let everything = [IpAddr::from(Ipv4Addr::UNSPECIFIED), Ipv6Addr::UNSPECIFIED.into()];
    let everything = everything.into_iter().filter_map(|addr| IpNetwork::new(addr, 0).ok());
    let outside = everything.filter(|it| !named.contains(it)).map(|it| (None, it));
    let regions = outside.chain(named.iter().map(|it| (Some(*it), *it))).filter_map(|(network, within)| {
        let smaller = named.iter().filter(|it| it.prefix() > within.prefix());
        let others = smaller.chain(&addresses).copied();
        Some(Region { network, addr: pick(within, others.collect())? })
    });
    regions.collect()
}

/// An address of `within` that is in none of the networks `taken`.
fn pick(within: IpNetwork, mut taken: Vec<IpNetwork>) -> Option<IpAddr> {
    taken.retain(|it| within.contains(it.network()) || it.contains(within.network()));
    if taken.is_empty() {
        return Some(within.network());
    }
    if taken.iter().any(|it| it.prefix() <= within.prefix()) {
        return None;
    }
    halves(within).into_iter().find_map(|half| pick(half, taken.clone()))
}

/// Both halves of a network; none of a single address.
fn halves(whole: IpNetwork) -> Vec<IpNetwork> {
    let prefix = whole.prefix() + 1;
    let upper = match whole.network() {
        IpAddr::V4(first) => {
            32_u32.checked_sub(prefix.into()).map(|bit| IpAddr::from(Ipv4Addr::from(u32::from(first) | 1 << bit)))
        }
        IpAddr::V6(first) => {
            128_u32.checked_sub(prefix.into()).map(|bit| IpAddr::from(Ipv6Addr::from(u128::from(first) | 1 << bit)))
        }
    };
    let halves = upper.into_iter().flat_map(|upper| [whole.network(), upper]);
    halves.filter_map(|addr| IpNetwork::new(addr, prefix).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picked(within: &str, taken: &[&str]) -> Option<String> {
        let taken = taken.iter().map(|it| it.parse().unwrap()).collect();
        pick(within.parse().unwrap(), taken).map(|addr| addr.to_string())
    }

    #[test]
    fn an_address_is_picked_that_no_smaller_network_has() {
        assert_eq!(picked("10.0.0.0/8", &[]).as_deref(), Some("10.0.0.0"));
        assert_eq!(picked("10.0.0.0/30", &["10.0.0.0", "10.0.0.2/31"]).as_deref(), Some("10.0.0.1"));
        assert_eq!(picked("0.0.0.0/0", &["0.0.0.0/1", "128.0.0.0/2", "fd00::/8"]).as_deref(), Some("192.0.0.0"));
        assert_eq!(picked("fd00::/127", &["fd00::/128"]).as_deref(), Some("fd00::1"));
    }

    #[test]
    fn a_network_whose_addresses_are_all_others_has_none() {
        assert_eq!(picked("10.0.0.0/31", &["10.0.0.0/32", "10.0.0.1/32"]), None);
        assert_eq!(picked("10.0.0.1/32", &["10.0.0.1/32"]), None);
        assert_eq!(picked("10.0.0.0/8", &["0.0.0.0/0"]), None);
        assert_eq!(picked("::/0", &["::/1", "8000::/1"]), None);
    }
}
