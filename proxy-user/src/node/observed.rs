//! All that the kernel told of this node, and the state that follows from it.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use proxy_common::addr::Family;

use super::{
    DeviceInfo, NodeState,
    event::{Address, DefaultRoute, Event, HostRoute, Link, NetworkRoute},
    foreign::is_foreign_bridge,
    pod_addresses::PodAddresses,
    role::{Facts, Kind, Role, role},
    uplinks::Uplinks,
};

/// What the kernel told, in a dump and in notifications after it.
#[derive(Debug)]
pub(super) struct Observed {
    links: BTreeMap<u32, Link>,
    /// By interface, in the kernel's order: its first is IPv4's choice of source.
    addresses: BTreeMap<u32, Vec<Address>>,
    default_routes: BTreeSet<DefaultRoute>,
    /// The interface that each route of a single address leads over.
    host_routes: BTreeMap<HostRoute, u32>,
    /// Of routes that lead over devices of kind [`Kind::Private`], those devices. Nobody asks for others, and a router has
    /// very many.
    network_routes: BTreeMap<NetworkRoute, Vec<u32>>,
    stale: bool,
}

impl Observed {
    /// Nothing yet: a dump is due.
    pub(super) fn nothing() -> Self {
        Self {
            links: BTreeMap::new(),
            addresses: BTreeMap::new(),
            default_routes: BTreeSet::new(),
            host_routes: BTreeMap::new(),
            network_routes: BTreeMap::new(),
            stale: true,
        }
    }

    /// From a full dump: interfaces, addresses, routes, in this order.
    pub(super) fn from_dump(events: Vec<Event>) -> Self {
        let mut observed = Self { stale: false, ..Self::nothing() };
        for event in events {
            match event {
                Event::DefaultRoutes(routes) => observed.default_routes.extend(routes),
                other => observed.record(other),
            }
        }
        observed
    }

    /// A notification; whether it mattered. Some say only that something changed: those make the state stale.
    pub(super) fn apply(&mut self, event: Event) -> bool {
        let matters = match &event {
            Event::NetworkRoute(route, devices) => {
                self.network_routes.contains_key(route) || self.private(devices).next().is_some()
            }
            Event::NetworkRouteGone(route) => self.network_routes.contains_key(route),
            _ => true,
        };
        self.stale |= self.hides_changes(&event);
        self.record(event);
        matters
    }

    /// The network namespace that an interface leads to.
    pub(super) fn peer_netns(&self, index: u32) -> Option<i32> {
        self.links.get(&index)?.peer_netns
    }

    /// Notifications were lost.
    pub(super) fn mark_stale(&mut self) {
        self.stale = true;
    }

    /// Only a new dump tells how things are.
    pub(super) fn is_stale(&self) -> bool {
        self.stale
    }

    fn record(&mut self, event: Event) {
        match event {
            Event::Link(index, link) => {
                if !link.up {
                    self.forget_routes(index);
                }
                self.links.insert(index, link);
            }
            Event::LinkGone(index) => {
                self.links.remove(&index);
                self.addresses.remove(&index);
                self.forget_routes(index);
            }
            Event::Address(index, address) => {
                let list = self.addresses.entry(index).or_default();
                match list.iter_mut().find(|a| a.ip == address.ip && a.prefix_len == address.prefix_len) {
                    Some(known) => *known = address,
                    None => list.push(address),
                }
            }
            Event::AddressGone(index, ip, prefix_len) => {
                if let Some(list) = self.addresses.get_mut(&index) {
                    list.retain(|a| a.ip != ip || a.prefix_len != prefix_len);
                }
            }
            Event::HostRoute(route, device) => drop(self.host_routes.insert(route, device)),
            Event::HostRouteGone(route) => drop(self.host_routes.remove(&route)),
            Event::NetworkRoute(route, devices) => {
                let private: Vec<_> = self.private(&devices).collect();
                if private.is_empty() {
                    self.network_routes.remove(&route);
                } else {
                    self.network_routes.insert(route, private);
                }
            }
            Event::NetworkRouteGone(route) => drop(self.network_routes.remove(&route)),
            Event::DefaultRoutes(_) => {}
        }
    }

    /// Those of the interfaces that are of kind [`Kind::Private`].
    fn private(&self, devices: &[u32]) -> impl Iterator<Item = u32> {
        let is_private = |index: &u32| self.links.get(index).is_some_and(|link| link.kind == Kind::Private);
        devices.iter().copied().filter(is_private)
    }

    /// The kernel drops the routes of an interface that goes down, unsaid.
    fn forget_routes(&mut self, index: u32) {
        self.host_routes.retain(|_, device| *device != index);
        for devices in self.network_routes.values_mut() {
            devices.retain(|device| *device != index);
        }
    }

    /// Whether more changed than a notification says.
    fn hides_changes(&self, event: &Event) -> bool {
        match event {
            // A route may replace another one unsaid, and one of several ways out may go. They change so rarely that
            // reading them anew costs less than following each case.
            Event::DefaultRoutes(_) => true,
            // The kernel drops the IPv4 routes of an interface that goes down, or loses its last address, unsaid.
            Event::Link(index, link) => {
                (!link.up && self.has_default_route(*index)) || self.peer_believed_elsewhere(link)
            }
            Event::LinkGone(index) => self.has_default_route(*index) || self.is_peer_of_another(*index),
            Event::AddressGone(index, ip, _) => {
                self.has_default_route(*index)
                    || self.default_routes.iter().any(|route| route.source == Some(*ip))
                    || self.host_routes.values().any(|device| device == index)
                    || self.network_routes.values().any(|devices| devices.contains(index))
            }
            Event::Address(..)
            | Event::HostRoute(..)
            | Event::HostRouteGone(_)
            | Event::NetworkRoute(..)
            | Event::NetworkRouteGone(_) => false,
        }
    }

    /// Whether an interface that left is the other end of one that stays. It may have moved to another namespace,
    /// which the kernel doesn't tell of the end that stays.
    fn is_peer_of_another(&self, index: u32) -> bool {
        self.links.values().any(|link| link.kind == Kind::Pair { peer: Some(index) })
    }

    /// Whether an interface is the other end of one whose peer was in another namespace: it came from there.
    fn peer_believed_elsewhere(&self, link: &Link) -> bool {
        let Kind::Pair { peer: Some(peer) } = link.kind else { return false };
        self.links.get(&peer).is_some_and(|other| other.kind == Kind::Pair { peer: None })
    }

    /// The network namespaces that pods' interfaces lead to.
    pub(super) fn pod_namespaces(&self) -> BTreeSet<i32> {
        let pods = self.links.iter().filter(|(index, link)| self.facts(**index, link).is_pod());
        pods.filter_map(|(_, link)| link.peer_netns).collect()
    }

    /// The state of the node, with the operator's list of uplinks and the addresses in pods' namespaces.
    pub(super) fn snapshot(&self, uplinks: &Uplinks, pods: &PodAddresses) -> NodeState {
        // Once for all: looking through them for each interface would be quadratic in the pods.
        let mut pod_routes: BTreeMap<u32, BTreeSet<IpAddr>> = BTreeMap::new();
        for (route, device) in &self.host_routes {
            pod_routes.entry(*device).or_default().insert(route.to);
        }
        let mut device = |(&index, link): (&u32, &Link)| {
            let routes = pod_routes.remove(&index).unwrap_or_default();
            (index, self.device(index, link, uplinks, pods, routes))
        };
        let devices: BTreeMap<_, _> = self.links.iter().map(&mut device).collect();
        let addresses = devices
            .iter()
            .filter(|(_, device)| device.role != Role::Pod)
            .flat_map(|(&index, _)| self.addresses_of(index))
            .filter(|address| address.usable && is_reachable(address.ip))
            .map(|address| address.ip)
            .collect();
        let default_devices = [Family::V4, Family::V6]
            .into_iter()
            // In order of preference; a route may precede its interface by a moment.
            .filter_map(|family| Some((family, self.default_routes.iter().find(|r| r.family == family)?.device)))
            .collect();
        NodeState { devices, addresses, default_devices }
    }

    fn device(
        &self,
        index: u32,
        link: &Link,
        uplinks: &Uplinks,
        pods: &PodAddresses,
        routes: BTreeSet<IpAddr>,
    ) -> DeviceInfo {
        let mut facts = self.facts(index, link);
        facts.listed = uplinks.lists(&link.name);
        facts.has_outside_port = link.kind == Kind::Bridge
            && self.links.iter().any(|(&port, other)| other.master == Some(index) && self.leads_outside(port, other));
        let (role, why) = role(&facts);
        let is_pod = role == Role::Pod;
        let sources = || self.addresses_of(index).iter().filter(|address| address.source).map(|address| address.ip);
        DeviceInfo {
            name: link.name.clone(),
            role,
            why,
            ipv4: sources().find_map(|ip| if let IpAddr::V4(v4) = ip { Some(v4) } else { None }),
            // A dump has new IPv6 addresses first and notifications have them last: the lowest is one choice for both.
            ipv6: sources().filter_map(|ip| if let IpAddr::V6(v6) = ip { Some(v6) } else { None }).min(),
            no_mac: link.no_mac,
            is_overlay: link.is_overlay,
            peer_netns: link.peer_netns,
            pod_ips: link.peer_netns.filter(|_| is_pod).map(|netns| pod_ips(pods, netns, link)).unwrap_or_default(),
            pod_routes: if is_pod { routes } else { BTreeSet::new() },
            up: link.up,
        }
    }

    /// What the kernel says of one interface by itself.
    fn facts(&self, index: u32, link: &Link) -> Facts {
        Facts {
            kind: link.kind,
            has_subnet: self.addresses_of(index).iter().any(reaches_beyond_itself),
            has_default_route: self.has_default_route(index),
            has_routes: link.kind == Kind::Private && self.is_routed_by(index),
            is_port: link.master.is_some(),
            is_foreign: self.is_foreign(link),
            has_outside_port: false,
            listed: None,
        }
    }

    /// Whether a bridge reaches more than pods by this port. A pair that is being removed loses its other end (0, the
    /// index of no interface) a moment before it goes: what it was, a pod's, doesn't make the bridge an uplink. Nor does a
    /// virtual machine (a tap device).
    fn leads_outside(&self, index: u32, port: &Link) -> bool {
        !matches!(port.kind, Kind::Pair { peer: Some(0) } | Kind::Private) && !self.facts(index, port).is_pod()
    }

    /// A bridge of other software, or one of its ports.
    fn is_foreign(&self, link: &Link) -> bool {
        let is_foreign = |bridge: &Link| bridge.kind == Kind::Bridge && is_foreign_bridge(&bridge.name);
        is_foreign(link) || link.master.and_then(|master| self.links.get(&master)).is_some_and(is_foreign)
    }

    fn is_routed_by(&self, index: u32) -> bool {
        self.host_routes.values().any(|device| *device == index)
            || self.network_routes.values().any(|devices| devices.contains(&index))
    }

    fn addresses_of(&self, index: u32) -> &[Address] {
        self.addresses.get(&index).map_or(&[], Vec::as_slice)
    }

    fn has_default_route(&self, index: u32) -> bool {
        self.default_routes.iter().any(|route| route.device == index)
    }
}

/// An address with a subnet around it, that isn't link-local.
fn reaches_beyond_itself(address: &Address) -> bool {
    match address.ip {
        IpAddr::V4(ip) => !ip.is_link_local() && address.prefix_len < 32,
        IpAddr::V6(ip) => !ip.is_unicast_link_local() && address.prefix_len < 128,
    }
}

/// The addresses of the pod behind an interface: those of the other end, or where that has none, all of the namespace.
fn pod_ips(pods: &PodAddresses, netns: i32, link: &Link) -> BTreeSet<IpAddr> {
    let all = pods.get(&netns).map_or(&[][..], Vec::as_slice);
    let at_the_end = all.iter().filter(|(index, _)| Some(*index) == link.lower);
    let ips: BTreeSet<_> = at_the_end.map(|(_, ip)| *ip).collect();
    if ips.is_empty() { all.iter().map(|(_, ip)| *ip).collect() } else { ips }
}

/// An address that others can reach its owner by.
pub(super) fn is_reachable(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => !ip.is_loopback(),
        IpAddr::V6(ip) => !ip.is_loopback() && !ip.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BRIDGE: u32 = 2;

    fn link(kind: Kind, master: Option<u32>) -> Link {
        let name = "it".into();
        Link { name, kind, master, no_mac: false, is_overlay: false, peer_netns: None, lower: None, up: true }
    }

    fn role_of_bridge_with(port: Kind) -> Role {
        let mut observed = Observed::from_dump(vec![Event::Link(BRIDGE, link(Kind::Bridge, None))]);
        observed.apply(Event::Link(3, link(port, Some(BRIDGE))));
        observed.snapshot(&Uplinks::parse(&[]).unwrap(), &PodAddresses::new()).devices[&BRIDGE].role
    }

    #[test]
    fn bridge_stays_what_it_is_while_a_pod_is_removed() {
        assert_eq!(role_of_bridge_with(Kind::Outward), Role::Uplink);
        assert_eq!(role_of_bridge_with(Kind::Pair { peer: None }), Role::Other);
        assert_eq!(role_of_bridge_with(Kind::Pair { peer: Some(0) }), Role::Other);
    }
}
