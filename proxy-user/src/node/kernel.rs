//! The node as the kernel last described it: interfaces, addresses and default routes, kept in step message by message.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::address::{AddressFlags, AddressScope};

use super::decode::{self, Address, DefaultRoute, Link};
use super::role::{Facts, Kind, Role, role};
use super::selection::DeviceSelection;
use super::{DeviceInfo, NodeState};

/// What the kernel has told.
#[derive(Debug, Default)]
pub(super) struct Kernel {
    links: BTreeMap<u32, Link>,
    /// Of each interface, those of IPv4 in the kernel's order.
    addresses: BTreeMap<u32, Vec<Address>>,
    routes: BTreeSet<DefaultRoute>,
    /// Interfaces that lost default routes by going down. Some of those come back with the interface, untold.
    routes_lost: BTreeSet<u32>,
    routes_stale: bool,
}

impl Kernel {
    /// Takes in one message of a dump or an event.
    pub(super) fn learn(&mut self, message: &RouteNetlinkMessage) {
        match message {
            RouteNetlinkMessage::NewLink(message) => {
                if let Some((ifindex, link)) = decode::link(message) {
                    self.put_link(ifindex, link);
                }
            }
            RouteNetlinkMessage::DelLink(message) => {
                if let Some((ifindex, _)) = decode::link(message) {
                    self.delete_link(ifindex);
                }
            }
            RouteNetlinkMessage::NewAddress(message) => {
                if let Some((ifindex, address)) = decode::address(message) {
                    self.put_address(ifindex, address);
                }
            }
            RouteNetlinkMessage::DelAddress(message) => {
                if let Some((ifindex, address)) = decode::address(message) {
                    self.delete_address(ifindex, &address);
                }
            }
            RouteNetlinkMessage::NewRoute(message) => self.routes.extend(decode::default_routes(message)),
            RouteNetlinkMessage::DelRoute(message) => {
                for route in decode::default_routes(message) {
                    self.routes.remove(&route);
                }
            }
            _ => {}
        }
    }

    /// The routes must be listed anew; once.
    pub(super) fn take_routes_stale(&mut self) -> bool {
        std::mem::take(&mut self.routes_stale)
    }

    /// Forgets the routes, before a new list of them.
    pub(super) fn forget_routes(&mut self) {
        self.routes.clear();
    }

    fn put_link(&mut self, ifindex: u32, link: Link) {
        if !link.up {
            self.lose_routes(ifindex);
        } else if self.routes_lost.remove(&ifindex) {
            self.routes_stale = true;
        }
        self.links.insert(ifindex, link);
    }

    fn delete_link(&mut self, ifindex: u32) {
        self.lose_routes(ifindex);
        self.routes_lost.remove(&ifindex);
        self.links.remove(&ifindex);
        self.addresses.remove(&ifindex);
    }

    /// The kernel drops IPv4 routes through an interface that goes down without a word (`fib_sync_down_dev`).
    fn lose_routes(&mut self, ifindex: u32) {
        let before = self.routes.len();
        self.routes.retain(|route| route.ifindex != ifindex);
        if self.routes.len() < before {
            self.routes_lost.insert(ifindex);
        }
    }

    fn put_address(&mut self, ifindex: u32, address: Address) {
        let addresses = self.addresses.entry(ifindex).or_default();
        match addresses.iter_mut().find(|known| same(known, &address)) {
            Some(known) => *known = address,
            None => addresses.push(address),
        }
    }

    fn delete_address(&mut self, ifindex: u32, address: &Address) {
        if let Some(addresses) = self.addresses.get_mut(&ifindex) {
            addresses.retain(|known| !same(known, address));
        }
        self.routes.retain(|route| route.source != Some(address.ip));
    }

    /// What the dataplane needs to know of it.
    pub(super) fn state(&self, selection: &DeviceSelection) -> NodeState {
        let detected: BTreeMap<u32, Role> = self.roles();
        let device = |(ifindex, link): (&u32, &Link)| {
            let info = DeviceInfo {
                name: link.name.clone(),
                role: selection.role(&link.name, detected.get(ifindex).copied().unwrap_or(Role::Other)),
                // The kernel's own choice is the first, and adds at the end.
                ipv4: self.sources(*ifindex).find(IpAddr::is_ipv4),
                // It adds in front for IPv6, and chooses by destination: any will do that stays the same.
                ipv6: self.sources(*ifindex).filter(IpAddr::is_ipv6).min(),
                no_mac: link.no_mac,
                mtu: link.mtu,
                up: link.up,
            };
            (*ifindex, info)
        };
        let usable = |address: &&Address| !address.flags.contains(AddressFlags::Dadfailed);
        NodeState {
            devices: self.links.iter().map(device).collect(),
            addresses: self.addresses.values().flatten().filter(usable).map(|address| address.ip).collect(),
        }
    }

    /// Roles of all interfaces; of bridges last, as they depend on those of their ports.
    fn roles(&self) -> BTreeMap<u32, Role> {
        let (bridges, others): (Vec<_>, Vec<_>) = self.links.iter().partition(|(_, link)| link.kind == Kind::Bridge);
        let mut roles: BTreeMap<u32, Role> =
            others.into_iter().map(|(ifindex, link)| (*ifindex, role(self.facts(*ifindex, link, false)))).collect();
        for (bridge, link) in bridges {
            let outside_port = self.links.iter().any(|(port, link)| {
                link.controller == Some(*bridge) && roles.get(port).is_none_or(|role| *role != Role::Pod)
            });
            roles.insert(*bridge, role(self.facts(*bridge, link, outside_port)));
        }
        roles
    }

    fn facts(&self, ifindex: u32, link: &Link, outside_port: bool) -> Facts {
        // A controller in another namespace, or not known yet, is taken for one that has the traffic.
        let controller = |index| self.links.get(&index).map_or(Kind::Bridge, |controller| controller.kind);
        let mut addresses = self.addresses.get(&ifindex).into_iter().flatten();
        Facts {
            loopback: link.loopback,
            kind: link.kind,
            peer_elsewhere: link.peer_elsewhere,
            controller: link.controller.map(controller),
            subnet: addresses.any(is_subnet),
            default_route: self.routes.iter().any(|route| route.ifindex == ifindex),
            outside_port,
        }
    }

    /// Addresses fit to be the source of what leaves by an interface: its primary ones of global scope.
    fn sources(&self, ifindex: u32) -> impl Iterator<Item = IpAddr> {
        let unfit =
            AddressFlags::Secondary | AddressFlags::Deprecated | AddressFlags::Tentative | AddressFlags::Dadfailed;
        let fits =
            move |address: &&Address| address.scope == AddressScope::Universe && !address.flags.intersects(unfit);
        self.addresses.get(&ifindex).into_iter().flatten().filter(fits).map(|address| address.ip)
    }
}

/// The same address as far as the kernel is concerned: flags may have changed.
fn same(one: &Address, other: &Address) -> bool {
    one.ip == other.ip && one.prefix_len == other.prefix_len
}

fn is_subnet(address: &Address) -> bool {
    let (link_local, single) = match address.ip {
        IpAddr::V4(ip) => (ip.is_link_local(), 32),
        IpAddr::V6(ip) => (ip.is_unicast_link_local(), 128),
    };
    !link_local && address.prefix_len < single
}
