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
        let others = named.iter().filter(|it| **it != within).chain(&addresses).copied();
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
