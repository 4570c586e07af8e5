//! From rtnetlink's messages to what we keep of them.

use std::net::IpAddr;

use netlink_packet_route::AddressFamily;
use netlink_packet_route::address::{AddressAttribute, AddressFlags, AddressMessage, AddressScope};
use netlink_packet_route::link::{InfoKind, LinkAttribute, LinkFlags, LinkInfo, LinkLayerType, LinkMessage};
use netlink_packet_route::route::{RouteAddress, RouteAttribute, RouteMessage, RouteType};

use super::role::Kind;

/// An interface.
#[derive(Clone, PartialEq, Eq, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "flags of the kernel, each on its own")]
pub(super) struct Link {
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) loopback: bool,
    pub(super) peer_elsewhere: bool,
    /// Index of the interface that it is a port of.
    pub(super) controller: Option<u32>,
    pub(super) no_mac: bool,
    pub(super) mtu: u32,
    pub(super) up: bool,
}

/// An address of an interface.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Address {
    pub(super) ip: IpAddr,
    pub(super) prefix_len: u8,
    pub(super) scope: AddressScope,
    pub(super) flags: AddressFlags,
}

/// A default route through one interface; a multipath route is one for each of its next hops.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct DefaultRoute {
    pub(super) ipv6: bool,
    pub(super) table: u32,
    pub(super) priority: u32,
    pub(super) ifindex: u32,
    /// Source address it prescribes. The kernel removes the route with the address, without telling.
    pub(super) source: Option<IpAddr>,
}

/// Index and description of an interface. Links to bridges' own view (`AF_BRIDGE`) say less, and are none.
pub(super) fn link(message: &LinkMessage) -> Option<(u32, Link)> {
    let header = &message.header;
    if header.interface_family != AddressFamily::Unspec {
        return None;
    }
    let mut link = Link {
        name: String::new(),
        kind: Kind::Outside,
        loopback: header.flags.contains(LinkFlags::Loopback),
        peer_elsewhere: false,
        controller: None,
        no_mac: !matches!(header.link_layer_type, LinkLayerType::Ether | LinkLayerType::Loopback),
        mtu: 0,
        up: header.flags.contains(LinkFlags::Up),
    };
    for attribute in &message.attributes {
        match attribute {
            LinkAttribute::IfName(name) => link.name.clone_from(name),
            LinkAttribute::Mtu(mtu) => link.mtu = *mtu,
            LinkAttribute::Controller(controller) => link.controller = Some(*controller).filter(|index| *index != 0),
            LinkAttribute::LinkNetNsId(_) => link.peer_elsewhere = true,
            LinkAttribute::LinkInfo(infos) => link.kind = infos.iter().find_map(kind).unwrap_or(Kind::Outside),
            _ => {}
        }
    }
    Some((header.index, link))
}

fn kind(info: &LinkInfo) -> Option<Kind> {
    let LinkInfo::Kind(kind) = info else { return None };
    Some(match kind {
        InfoKind::Veth | InfoKind::Netkit => Kind::Pair,
        InfoKind::Bridge => Kind::Bridge,
        InfoKind::Vrf => Kind::Vrf,
        InfoKind::Dummy | InfoKind::Ifb | InfoKind::Nlmon | InfoKind::Vcan | InfoKind::Vxcan | InfoKind::Can => {
            Kind::Inside
        }
        _ => Kind::Outside,
    })
}

/// Index of the interface, and its address.
pub(super) fn address(message: &AddressMessage) -> Option<(u32, Address)> {
    let header = &message.header;
    let (mut own, mut either) = (None, None);
    let mut flags = AddressFlags::from_bits_retain(u32::from(header.flags.bits()));
    for attribute in &message.attributes {
        match attribute {
            AddressAttribute::Local(ip) => own = Some(*ip),
            AddressAttribute::Address(ip) => either = Some(*ip),
            AddressAttribute::Flags(all) => flags = *all,
            _ => {}
        }
    }
    // On a point-to-point interface the second is the other end's; IPv6 has only the second otherwise.
    let ip = own.or(either)?;
    Some((header.index, Address { ip, prefix_len: header.prefix_len, scope: header.scope, flags }))
}

/// The routes of a message that are unicast default routes.
pub(super) fn default_routes(message: &RouteMessage) -> Vec<DefaultRoute> {
    let header = &message.header;
    if header.destination_prefix_length != 0 || header.kind != RouteType::Unicast {
        return Vec::new();
    }
    let mut route = DefaultRoute {
        ipv6: header.address_family == AddressFamily::Inet6,
        table: u32::from(header.table),
        priority: 0,
        ifindex: 0,
        source: None,
    };
    let mut interfaces = Vec::new();
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Table(table) => route.table = *table,
            RouteAttribute::Priority(priority) => route.priority = *priority,
            RouteAttribute::Oif(ifindex) => interfaces.push(*ifindex),
            RouteAttribute::MultiPath(hops) => interfaces.extend(hops.iter().map(|hop| hop.interface_index)),
            RouteAttribute::PrefSource(RouteAddress::Inet(ip)) => route.source = Some((*ip).into()),
            RouteAttribute::PrefSource(RouteAddress::Inet6(ip)) => route.source = Some((*ip).into()),
            _ => {}
        }
    }
    interfaces.into_iter().map(|ifindex| DefaultRoute { ifindex, ..route }).collect()
}
