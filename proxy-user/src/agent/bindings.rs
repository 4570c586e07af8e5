//! Which interface each address of this node's pods is behind.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use proxy_common::addr::Addr;
use proxy_common::tables::Device;

use crate::node::DeviceInfo;

/// Addresses of pods with the indices of the host's ends of their interfaces: one address of a family behind each.
///
/// An address is bound if a Pod of this node has it by its object and an interface by what the node sees. That a route leads
/// over the interface counts more than that the other end has the address: the pod itself may have put it there. So the
/// first interface that had it keeps it for as long as it does.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Bindings(BTreeMap<IpAddr, u32>);

impl Bindings {
    /// Those of an earlier agent, by its table of interfaces: it saw who was first.
    pub(super) fn adopt(devices: &BTreeMap<u32, Device>) -> Self {
        let addresses = devices
            .iter()
            .flat_map(|(ifindex, device)| [device.pod_ipv4, device.pod_ipv6].map(|addr| (addr, *ifindex)).into_iter());
        Self(
            addresses
                .filter(|(addr, _)| *addr != Addr::UNSPECIFIED)
                .map(|(addr, ifindex)| (addr.into(), ifindex))
                .collect(),
        )
    }

    /// Of addresses of Pods and interfaces as they are now, these having been the bindings until now.
    pub(super) fn update(&self, pods: &BTreeSet<IpAddr>, devices: &BTreeMap<u32, DeviceInfo>) -> Self {
        let mut bound = Self::default();
        let routed = by_address(pods, devices, |device| &device.pod_routes);
        for (ip, interfaces) in &routed {
            bound.0.insert(*ip, self.choose(*ip, interfaces));
        }
        let owned = by_address(pods, devices, |device| &device.pod_ips);
        let unrouted = || owned.iter().filter(|(ip, _)| !routed.contains_key(*ip));
        // Who was first comes first: it isn't to lose its place to an address that the pod just took.
        for (ip, _) in unrouted() {
            if let Some(ifindex) = self.0.get(ip).filter(|ifindex| owned[ip].contains(ifindex)) {
                bound.bind_if_free(*ip, *ifindex);
            }
        }
        for (ip, interfaces) in unrouted() {
            for ifindex in interfaces {
                bound.bind_if_free(*ip, *ifindex);
            }
        }
        bound
    }

    /// Of several interfaces the one it is bound to, else that which came first.
    fn choose(&self, ip: IpAddr, interfaces: &BTreeSet<u32>) -> u32 {
        let known = self.0.get(&ip).filter(|ifindex| interfaces.contains(ifindex));
        known.or_else(|| interfaces.first()).copied().unwrap_or_default()
    }

    fn bind_if_free(&mut self, ip: IpAddr, ifindex: u32) {
        let is_taken = self.0.iter().any(|(other, to)| *to == ifindex && other.is_ipv4() == ip.is_ipv4());
        if !is_taken && !self.0.contains_key(&ip) {
            self.0.insert(ip, ifindex);
        }
    }

    /// Those that another has too.
    pub(super) fn common(&self, other: &Self) -> Self {
        self.retain(|ip, ifindex| other.0.get(&ip) == Some(&ifindex))
    }

    /// Those for which `keeps` says so.
    pub(super) fn retain(&self, keeps: impl Fn(IpAddr, u32) -> bool) -> Self {
        Self(
            self.0.iter().filter(|(ip, ifindex)| keeps(**ip, **ifindex)).map(|(ip, ifindex)| (*ip, *ifindex)).collect(),
        )
    }

    /// Interface of each address.
    pub(super) const fn interfaces(&self) -> &BTreeMap<IpAddr, u32> {
        &self.0
    }

    /// The addresses of the pod behind an interface.
    pub(super) fn behind(&self, ifindex: u32) -> impl Iterator<Item = IpAddr> {
        self.0.iter().filter(move |(_, to)| **to == ifindex).map(|(ip, _)| *ip)
    }
}

/// The interfaces that have each address of Pods.
fn by_address(
    pods: &BTreeSet<IpAddr>,
    devices: &BTreeMap<u32, DeviceInfo>,
    has: impl Fn(&DeviceInfo) -> &BTreeSet<IpAddr>,
) -> BTreeMap<IpAddr, BTreeSet<u32>> {
    let mut interfaces: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for (ifindex, device) in devices {
        for ip in has(device).intersection(pods) {
            interfaces.entry(*ip).or_default().insert(*ifindex);
        }
    }
    interfaces
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::{Role, Why};

    fn ips(list: &[&str]) -> BTreeSet<IpAddr> {
        list.iter().map(|ip| ip.parse().unwrap()).collect()
    }

    /// A pod's interface with a route for some addresses, whose other end has some.
    fn interface(routes: &[&str], has: &[&str]) -> DeviceInfo {
        DeviceInfo {
            name: "pod".into(),
            role: Role::Pod,
            why: Why::Pod,
            ipv4: None,
            ipv6: None,
            no_mac: false,
            is_overlay: false,
            peer_netns: Some(0),
            pod_ips: ips(has),
            pod_routes: ips(routes),
            up: true,
        }
    }

    fn bindings(list: &[(&str, u32)]) -> Bindings {
        Bindings(list.iter().map(|(ip, ifindex)| (ip.parse().unwrap(), *ifindex)).collect())
    }

    #[test]
    fn an_address_of_no_pod_is_bound_to_no_interface_and_a_pod_without_interface_to_none() {
        let devices = [(7, interface(&["10.0.0.1"], &["10.0.0.1", "10.0.0.2", "fd00::1"]))].into();
        let pods = ips(&["10.0.0.1", "10.0.0.3", "fd00::1"]);
        assert_eq!(Bindings::default().update(&pods, &devices), bindings(&[("10.0.0.1", 7), ("fd00::1", 7)]));
        assert_eq!(Bindings::default().update(&ips(&[]), &devices), bindings(&[]));
    }

    #[test]
    fn a_pod_that_takes_another_s_address_does_not_get_it() {
        let pods = ips(&["10.0.0.1", "10.0.0.2"]);
        let both = bindings(&[("10.0.0.1", 9), ("10.0.0.2", 7)]);
        let stolen = [(7, interface(&[], &["10.0.0.1", "10.0.0.2"])), (9, interface(&[], &["10.0.0.1"]))].into();
        assert_eq!(both.update(&pods, &stolen), both, "who was first keeps it");
        let mut devices = [(7, interface(&[], &["10.0.0.1", "10.0.0.2"]))].into();
        let known = bindings(&[("10.0.0.2", 7)]);
        assert_eq!(known.update(&pods, &devices), known, "nor one that no interface has yet, beside its own");
        devices.insert(9, interface(&[], &["10.0.0.1"]));
        assert_eq!(known.update(&pods, &devices), both, "the owner gets it");
    }

    #[test]
    fn a_route_counts_more_than_who_was_first() {
        let pods = ips(&["10.0.0.1"]);
        let devices = [(7, interface(&[], &["10.0.0.1"])), (9, interface(&["10.0.0.1"], &[]))].into();
        assert_eq!(bindings(&[("10.0.0.1", 7)]).update(&pods, &devices), bindings(&[("10.0.0.1", 9)]));
    }

    #[test]
    fn an_address_moves_when_its_interface_has_it_no_more() {
        let pods = ips(&["10.0.0.1"]);
        let devices = [(7, interface(&[], &[])), (9, interface(&[], &["10.0.0.1"]))].into();
        assert_eq!(bindings(&[("10.0.0.1", 7)]).update(&pods, &devices), bindings(&[("10.0.0.1", 9)]));
        assert_eq!(bindings(&[("10.0.0.1", 7)]).update(&pods, &BTreeMap::new()), bindings(&[]));
    }

    #[test]
    fn an_earlier_agent_s_bindings_are_taken_over() {
        let v4: Addr = "10.0.0.1".parse::<IpAddr>().unwrap().into();
        let v6: Addr = "fd00::1".parse::<IpAddr>().unwrap().into();
        let devices = [(0, Device::default()), (7, Device { pod_ipv4: v4, pod_ipv6: v6, ..Device::default() })].into();
        assert_eq!(Bindings::adopt(&devices), bindings(&[("10.0.0.1", 7), ("fd00::1", 7)]));
    }
}
