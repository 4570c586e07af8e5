//! `POD_NETWORK`.

use std::net::{IpAddr, Ipv6Addr};

use ipnetwork::IpNetwork;
use proxy_common::addr::Addr;
use proxy_common::tables::{PodNetwork, pod_network_flags};

use super::wanted::Wanted;
use crate::model::Policies;

/// What is known of this node's pods as a whole. Unknown ones are held only where there is a policy that could be about them.
pub(super) fn pod_network(policies: &Policies, wanted: &Wanted, hold_unknown: bool) -> PodNetwork {
    let mut network = PodNetwork::default();
    for cidr in policies.pod_cidrs() {
        let (addr, of_mask) = match cidr {
            IpNetwork::V4(_) => (&mut network.ipv4, &mut network.ipv4_mask),
            IpNetwork::V6(_) => (&mut network.ipv6, &mut network.ipv6_mask),
        };
        (*addr, *of_mask) = (cidr.network().into(), mask(*cidr));
    }
    if wanted.is_policed() {
        network.flags |= pod_network_flags::POLICED;
    }
    if hold_unknown && policies.has_policies() && !policies.pod_cidrs().is_empty() {
        network.flags |= pod_network_flags::HOLD_UNKNOWN;
    }
    network
}

/// The bits that all addresses of a network share, those before an IPv4 address among them.
fn mask(network: IpNetwork) -> Addr {
    let shared = u32::from(network.prefix()) + if network.is_ipv4() { 96 } else { 0 };
    let bits = u128::MAX.checked_shl(128 - shared).unwrap_or(0);
    IpAddr::V6(Ipv6Addr::from_bits(bits)).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_holds_its_addresses_and_no_others() {
        for (range, inside, outside) in
            [("10.244.1.0/24", "10.244.1.255", "10.244.2.0"), ("2001:db8:1::/64", "2001:db8:1::ffff", "2001:db8:2::1")]
        {
            let network: IpNetwork = range.parse().unwrap();
            let addr = |text: &str| text.parse::<IpAddr>().unwrap().into();
            let (of, mask) = (network.network().into(), mask(network));
            let network = if network.is_ipv4() {
                PodNetwork { ipv4: of, ipv4_mask: mask, ..PodNetwork::default() }
            } else {
                PodNetwork { ipv6: of, ipv6_mask: mask, ..PodNetwork::default() }
            };
            assert!(network.contains(&addr(inside)) && !network.contains(&addr(outside)), "{range}");
        }
    }
}
