//! At which addresses of the node the health check ports of Services are open: where node ports are (8.1 of
//! kube-proxy's rules).

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use proxy_common::addr::Family;

use crate::model::{Eligible, NodePortAddresses};

/// The addresses, out of `held` (the node's, without loopback); the unspecified one of a family stands for all of it.
/// Loopback is among them where it is within the ranges: whether *node ports* are served there is another setting.
pub(super) fn addresses(
    setting: &NodePortAddresses,
    internal_ips: &[IpAddr],
    held: &BTreeSet<IpAddr>,
) -> BTreeSet<IpAddr> {
    let families = [
        (Family::V4, IpAddr::from(Ipv4Addr::UNSPECIFIED), IpAddr::from(Ipv4Addr::LOCALHOST)),
        (Family::V6, IpAddr::from(Ipv6Addr::UNSPECIFIED), IpAddr::from(Ipv6Addr::LOCALHOST)),
    ];
    let of_family = |(of, all, loopback)| match setting.eligible(of, internal_ips) {
        Eligible::All => BTreeSet::from([all]),
        eligible => {
            let held = held.iter().copied().filter(|ip| ip.is_ipv4() == (of == Family::V4) && eligible.holds(*ip));
            held.chain(eligible.holds_loopback(of).then_some(loopback)).collect()
        }
    };
    families.into_iter().flat_map(of_family).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open_at(setting: &[&str], internal_ips: &[&str]) -> Vec<String> {
        let ips = |texts: &[&str]| -> Vec<IpAddr> { texts.iter().map(|text| text.parse().unwrap()).collect() };
        let setting: Vec<String> = setting.iter().map(|text| (*text).to_owned()).collect();
        let held = ips(&["192.0.2.1", "198.51.100.1", "2001:db8::1"]).into_iter().collect();
        let addresses = addresses(&NodePortAddresses::parse(&setting).unwrap(), &ips(internal_ips), &held);
        addresses.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn health_check_ports_are_open_where_node_ports_are() {
        assert_eq!(open_at(&[], &[]), ["0.0.0.0", "::"]);
        assert_eq!(open_at(&["192.0.2.0/24", "::/0"], &[]), ["192.0.2.1", "::"]);
        assert_eq!(open_at(&["127.0.0.0/8", "2001:db8:1::/64"], &[]), ["127.0.0.1"]);
        assert_eq!(open_at(&["primary"], &["198.51.100.1"]), ["198.51.100.1"]);
    }
}
