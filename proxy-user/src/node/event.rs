//! What one rtnetlink message says, as far as this node's state depends on it.

use std::net::IpAddr;

use netlink_packet_route::{
    AddressFamily, RouteNetlinkMessage,
    address::{AddressAttribute, AddressFlags, AddressMessage, AddressScope},
    link::{InfoKind, InfoPortKind, LinkAttribute, LinkFlags, LinkInfo, LinkLayerType, LinkMessage},
    route::{RouteAddress, RouteAttribute, RouteMessage, RouteProtocol, RouteType},
};
use proxy_common::addr::Family;

use super::role::Kind;

/// An interface.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Link {
    pub(super) name: String,
    pub(super) kind: Kind,
    /// The bridge, bond or team that it is a port of. A VRF isn't one: its members keep their addresses and packets.
    pub(super) master: Option<u32>,
    pub(super) no_mac: bool,
    /// Takes packets out of others (VXLAN, Geneve, GRE) and has a link-layer header.
    pub(super) is_overlay: bool,
    /// `IFLA_LINK_NETNSID`.
    pub(super) peer_netns: Option<i32>,
    /// `IFLA_LINK`: of a pair, the index of its other end, in the namespace where that is.
    pub(super) lower: Option<u32>,
    pub(super) up: bool,
}

/// An address on an interface.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Address {
    pub(super) ip: IpAddr,
    pub(super) prefix_len: u8,
    /// Duplicate address detection passed, or doesn't hold it back: packets to the address are taken in.
    pub(super) usable: bool,
    /// May be the source of packets that leave: usable, primary, not deprecated, valid beyond the link.
    pub(super) source: bool,
}

/// One way out of a default route.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct DefaultRoute {
    pub(super) family: Family,
    /// Not in the main table: the order of the fields is the order of preference.
    pub(super) outside_main: bool,
    pub(super) metric: u32,
    pub(super) device: u32,
    /// The route's preferred source; the kernel drops the route with this address.
    pub(super) source: Option<IpAddr>,
}

/// The route of a single address that is on the link: how a pod without a subnet is attached.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct HostRoute {
    pub(super) to: IpAddr,
    /// Routes of an address differ in table or metric.
    pub(super) table: u32,
    pub(super) metric: u32,
}

/// A route to more than one address that somebody has set: what it leads over is in use.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct NetworkRoute {
    pub(super) to: IpAddr,
    pub(super) prefix_len: u8,
    /// Routes of a network differ in table or metric.
    pub(super) table: u32,
    pub(super) metric: u32,
}

/// One thing the kernel told. Interfaces go by their index.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Event {
    /// An interface is there, or changed.
    Link(u32, Link),
    /// An interface went away.
    LinkGone(u32),
    /// An address is there, or changed.
    Address(u32, Address),
    /// An address with this prefix length went away.
    AddressGone(u32, IpAddr, u8),
    /// A default route's ways out; in a notification, of one that came or went.
    DefaultRoutes(Vec<DefaultRoute>),
    /// The route of a single address leads over this interface now.
    HostRoute(HostRoute, u32),
    /// The route of a single address went away.
    HostRouteGone(HostRoute),
    /// The route of a network leads over these interfaces now.
    NetworkRoute(NetworkRoute, Vec<u32>),
    /// The route of a network went away.
    NetworkRouteGone(NetworkRoute),
}

/// Reads a message; `None` when this node's state doesn't depend on it.
pub(super) fn decode(message: &RouteNetlinkMessage) -> Option<Event> {
    match message {
        RouteNetlinkMessage::NewLink(link) => decode_link(link),
        RouteNetlinkMessage::DelLink(link) if is_whole(link) => Some(Event::LinkGone(link.header.index)),
        RouteNetlinkMessage::NewAddress(address) => {
            Some(Event::Address(address.header.index, decode_address(address)?))
        }
        RouteNetlinkMessage::DelAddress(address) => {
            let gone = decode_address(address)?;
            Some(Event::AddressGone(address.header.index, gone.ip, gone.prefix_len))
        }
        RouteNetlinkMessage::NewRoute(route) => decode_route(route, false),
        RouteNetlinkMessage::DelRoute(route) => decode_route(route, true),
        _ => None,
    }
}

/// Whether a message is about the interface itself. A bridge tells of its ports on the same multicast group, and there
/// "deleted" means removed from the bridge; wireless drivers send their events there too, without the usual attributes.
fn is_whole(link: &LinkMessage) -> bool {
    link.header.interface_family == AddressFamily::Unspec
        && !link.attributes.iter().any(|attribute| matches!(attribute, LinkAttribute::Wireless(_)))
}

fn decode_link(message: &LinkMessage) -> Option<Event> {
    if !is_whole(message) {
        return None;
    }
    let (mut name, mut master, mut lower, mut peer_netns) = (None, None, None, None);
    let (mut kind, mut port_kind) = (None, None);
    for attribute in &message.attributes {
        match attribute {
            LinkAttribute::IfName(value) => name = Some(value.clone()),
            LinkAttribute::Controller(index) => master = Some(*index),
            LinkAttribute::Link(index) => lower = Some(*index),
            LinkAttribute::LinkNetNsId(id) => peer_netns = Some(*id),
            LinkAttribute::LinkInfo(infos) => {
                for info in infos {
                    match info {
                        LinkInfo::Kind(value) => kind = Some(value),
                        LinkInfo::PortKind(value) => port_kind = Some(value),
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    let layer = message.header.link_layer_type;
    let link = Link {
        name: name?,
        kind: match kind {
            _ if message.header.flags.contains(LinkFlags::Loopback) => Kind::Loopback,
            Some(InfoKind::Veth | InfoKind::Netkit) => {
                Kind::Pair { peer: if peer_netns.is_some() { None } else { lower } }
            }
            Some(InfoKind::Bridge) => Kind::Bridge,
            Some(
                InfoKind::Dummy
                | InfoKind::Ifb
                | InfoKind::Vrf
                | InfoKind::Nlmon
                | InfoKind::Can
                | InfoKind::Vcan
                | InfoKind::Vxcan,
            ) => Kind::Internal,
            Some(InfoKind::Tun | InfoKind::Wireguard) => Kind::Private,
            _ => Kind::Outward,
        },
        master: master.filter(|_| port_kind != Some(&InfoPortKind::Vrf)),
        no_mac: !matches!(layer, LinkLayerType::Ether | LinkLayerType::Loopback),
        is_overlay: matches!(
            kind,
            Some(
                InfoKind::Vxlan
                    | InfoKind::Geneve
                    | InfoKind::GreTap
                    | InfoKind::GreTap6
                    | InfoKind::ErSpan
                    | InfoKind::Ip6ErSpan
                    | InfoKind::BareUdp
            )
        ),
        peer_netns,
        lower,
        up: message.header.flags.contains(LinkFlags::Up),
    };
    Some(Event::Link(message.header.index, link))
}

fn decode_address(message: &AddressMessage) -> Option<Address> {
    // The header has the first eight flags only, the attribute all.
    let mut flags = AddressFlags::from_bits_retain(u32::from(message.header.flags.bits()));
    let (mut address, mut local) = (None, None);
    for attribute in &message.attributes {
        match attribute {
            AddressAttribute::Address(ip) => address = Some(*ip),
            AddressAttribute::Local(ip) => local = Some(*ip),
            AddressAttribute::Flags(all) => flags = *all,
            _ => {}
        }
    }
    let usable = flags.contains(AddressFlags::Optimistic)
        || !flags.intersects(AddressFlags::Tentative | AddressFlags::Dadfailed);
    Some(Address {
        // On a point-to-point interface IFA_ADDRESS is the other side's.
        ip: local.or(address)?,
        prefix_len: message.header.prefix_len,
        usable,
        source: usable
            && !flags.intersects(AddressFlags::Secondary | AddressFlags::Deprecated)
            && matches!(message.header.scope, AddressScope::Universe | AddressScope::Site),
    })
}

fn decode_route(message: &RouteMessage, is_gone: bool) -> Option<Event> {
    let header = &message.header;
    let (family, bits) = match header.address_family {
        AddressFamily::Inet => (Family::V4, 32),
        AddressFamily::Inet6 => (Family::V6, 128),
        _ => return None,
    };
    let prefix = header.destination_prefix_length;
    if header.kind != RouteType::Unicast {
        return None;
    }
    let (mut table, mut metric, mut source, mut devices) = (u32::from(header.table), 0, None, Vec::new());
    let (mut destination, mut is_on_link) = (None, true);
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Table(value) => table = *value,
            RouteAttribute::Priority(value) => metric = *value,
            RouteAttribute::PrefSource(RouteAddress::Inet(ip)) => source = Some(IpAddr::V4(*ip)),
            RouteAttribute::PrefSource(RouteAddress::Inet6(ip)) => source = Some(IpAddr::V6(*ip)),
            RouteAttribute::Destination(RouteAddress::Inet(ip)) => destination = Some(IpAddr::V4(*ip)),
            RouteAttribute::Destination(RouteAddress::Inet6(ip)) => destination = Some(IpAddr::V6(*ip)),
            RouteAttribute::Gateway(_) | RouteAttribute::Via(_) => is_on_link = false,
            RouteAttribute::Oif(index) => devices.push(*index),
            RouteAttribute::MultiPath(hops) => devices.extend(hops.iter().map(|hop| hop.interface_index)),
            _ => {}
        }
    }
    if prefix == 0 {
        let outside_main = table != u32::from(libc::RT_TABLE_MAIN);
        let routes = devices.into_iter().map(|device| DefaultRoute { family, outside_main, metric, device, source });
        return Some(Event::DefaultRoutes(routes.collect()));
    }
    let to = destination?;
    if prefix == bits {
        let route = HostRoute { to, table, metric };
        return match devices[..] {
            _ if is_gone => Some(Event::HostRouteGone(route)),
            [device] if is_on_link => Some(Event::HostRoute(route, device)),
            _ => None,
        };
    }
    // The subnets of its addresses are the kernel's doing.
    if header.protocol == RouteProtocol::Kernel {
        return None;
    }
    let route = NetworkRoute { to, prefix_len: prefix, table, metric };
    Some(if is_gone { Event::NetworkRouteGone(route) } else { Event::NetworkRoute(route, devices) })
}

#[cfg(test)]
mod tests {
    use netlink_packet_route::{
        AddressFamily, RouteNetlinkMessage,
        link::{InfoKind, InfoPortKind, LinkAttribute, LinkInfo, LinkLayerType, LinkMessage},
    };

    use super::{Event, Link, decode};
    use crate::node::role::Kind;

    /// An interface as the kernel tells of it.
    fn message(layer: LinkLayerType, attributes: Vec<LinkAttribute>) -> LinkMessage {
        let mut message = LinkMessage::default();
        message.header.index = 4;
        message.header.link_layer_type = layer;
        message.attributes = vec![LinkAttribute::IfName("it".into())];
        message.attributes.extend(attributes);
        message
    }

    fn link(layer: LinkLayerType, attributes: Vec<LinkAttribute>) -> Link {
        match decode(&RouteNetlinkMessage::NewLink(message(layer, attributes))) {
            Some(Event::Link(4, link)) => link,
            other => panic!("not an interface: {other:?}"),
        }
    }

    #[test]
    fn a_port_has_a_master_and_a_member_of_a_vrf_none() {
        let master_of = |port_kind| {
            let info = LinkAttribute::LinkInfo(vec![LinkInfo::PortKind(port_kind)]);
            link(LinkLayerType::Ether, vec![LinkAttribute::Controller(9), info]).master
        };
        assert_eq!(master_of(InfoPortKind::Bridge), Some(9));
        assert_eq!(master_of(InfoPortKind::Bond), Some(9));
        assert_eq!(master_of(InfoPortKind::Vrf), None);
    }

    #[test]
    fn kinds_tell_what_leads_out() {
        let kind_of = |kind| link(LinkLayerType::Ether, vec![LinkAttribute::LinkInfo(vec![LinkInfo::Kind(kind)])]).kind;
        for internal in [InfoKind::Dummy, InfoKind::Ifb, InfoKind::Vrf] {
            assert_eq!(kind_of(internal), Kind::Internal);
        }
        for outward in [InfoKind::Bond, InfoKind::Vlan, InfoKind::MacVlan, InfoKind::Vxlan, InfoKind::SitTun] {
            assert_eq!(kind_of(outward), Kind::Outward);
        }
        for private in [InfoKind::Tun, InfoKind::Wireguard] {
            assert_eq!(kind_of(private), Kind::Private);
        }
        assert_eq!(link(LinkLayerType::Ether, vec![]).kind, Kind::Outward, "a physical NIC has no kind");
    }

    #[test]
    fn only_ethernet_and_loopback_have_an_ethernet_header() {
        for (layer, no_mac) in [
            (LinkLayerType::Ether, false),
            (LinkLayerType::Loopback, false),
            (LinkLayerType::None, true),
            (LinkLayerType::Tunnel, true),
            (LinkLayerType::Tunnel6, true),
            (LinkLayerType::Sit, true),
            (LinkLayerType::Ipgre, true),
        ] {
            assert_eq!(link(layer, vec![]).no_mac, no_mac, "{layer}");
        }
    }

    #[test]
    fn what_a_bridge_says_of_its_port_is_not_about_the_interface() {
        let mut port = message(LinkLayerType::Ether, vec![]);
        port.header.interface_family = AddressFamily::Bridge;
        assert_eq!(decode(&RouteNetlinkMessage::NewLink(port.clone())), None);
        assert_eq!(decode(&RouteNetlinkMessage::DelLink(port)), None);
    }
}
