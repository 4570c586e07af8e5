//! What we need to know of a packet.

use crate::addr::{Addr, Family, Port, protocol};
use crate::drop::Reason;
use crate::tables::FlowKey;
use crate::wire::{Bytes, Icmp, Ipv4, Ipv6, Ipv6Extension, Ports, Tcp};

/// `EtherType` of IPv4, as it lies in memory.
pub const ETH_P_IP: u16 = 0x0800_u16.to_be();
/// `EtherType` of IPv6, as it lies in memory.
pub const ETH_P_IPV6: u16 = 0x86dd_u16.to_be();

/// Most IPv6 extension headers we look behind. RFC 8200, 4.1 lists seven at the most; more is no honest packet.
const MAX_EXTENSIONS: u32 = 7;

/// An IP packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Packet {
    /// The packet's addresses and ports. For an ICMP error: those of the packet it is about, reversed; it travels in
    /// the same direction of the same flow as a packet with these. Ports are 0 in [`Kind::Other`].
    pub key: FlowKey,
    /// IP version.
    pub family: Family,
    /// What it is.
    pub kind: Kind,
    /// TCP flags; 0 otherwise.
    pub tcp_flags: u8,
    /// Time to live or hop limit.
    pub ttl: u8,
    /// Offset of the IP header.
    pub l3: u32,
    /// Offset of the header after IP's.
    pub l4: u32,
    /// For an ICMP error, offset of the quoted TCP or UDP header; 0 otherwise.
    pub inner_l4: u32,
}

/// Kind of packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// TCP segment or UDP datagram.
    Transport,
    /// ICMP or ICMPv6 error about a TCP segment or UDP datagram.
    IcmpError,
    /// Neither: of no flow, but it may be meant for an address that only a Service has.
    Other,
}

impl Packet {
    /// Opens a TCP connection.
    #[inline(always)]
    #[must_use]
    pub const fn is_syn(&self) -> bool {
        self.tcp_flags & (Tcp::SYN | Tcp::ACK | Tcp::RST) == Tcp::SYN
    }

    /// May be the first of a flow.
    #[inline(always)]
    #[must_use]
    pub fn opens(&self) -> bool {
        matches!(self.kind, Kind::Transport) && (self.key.protocol != u32::from(protocol::TCP) || self.is_syn())
    }
}

/// An IP header, up to where the transport's begins.
struct Network {
    family: Family,
    src: Addr,
    dst: Addr,
    protocol: u8,
    ttl: u8,
    /// Length with options or extension headers.
    length: u32,
    /// Not the first fragment: no transport header.
    later_fragment: bool,
}

/// Reads a packet whose IP header begins at `l3`. `None` for what no decision is about: what isn't IP, later fragments,
/// errors about what is none of a flow, neighbour discovery.
///
/// # Errors
/// [`Reason::Malformed`] when headers are cut short, [`Reason::MappedAddress`] for IPv6 with an IPv4-mapped address.
#[inline(always)]
pub fn parse(bytes: &(impl Bytes + ?Sized), ethertype: u16, l3: u32) -> Result<Option<Packet>, Reason> {
    let Some(network) = network(bytes, ethertype, l3)? else { return Ok(None) };
    if network.later_fragment {
        return Ok(None);
    }
    let l4 = l3 + network.length;
    match network.protocol {
        protocol::TCP => {
            let tcp: Tcp = bytes.header(l4).ok_or(Reason::Malformed)?;
            Ok(Some(transport(&network, Ports { src: tcp.src_port, dst: tcp.dst_port }, tcp.flags, l3, l4)))
        }
        protocol::UDP => {
            let ports: Ports = bytes.header(l4).ok_or(Reason::Malformed)?;
            Ok(Some(transport(&network, ports, 0, l3, l4)))
        }
        protocol::ICMP | protocol::ICMPV6 => icmp(bytes, &network, ethertype, l3, l4),
        _ => Ok(Some(other(&network, l3, l4))),
    }
}

#[inline(always)]
fn other(network: &Network, l3: u32, l4: u32) -> Packet {
    Packet { kind: Kind::Other, ..transport(network, Ports { src: 0, dst: 0 }, 0, l3, l4) }
}

#[inline(always)]
fn transport(network: &Network, ports: Ports, tcp_flags: u8, l3: u32, l4: u32) -> Packet {
    Packet {
        key: key(network, ports),
        family: network.family,
        kind: Kind::Transport,
        tcp_flags,
        ttl: network.ttl,
        l3,
        l4,
        inner_l4: 0,
    }
}

#[inline(always)]
fn key(network: &Network, ports: Ports) -> FlowKey {
    FlowKey {
        src: network.src,
        dst: network.dst,
        src_port: Port::from_wire(ports.src),
        dst_port: Port::from_wire(ports.dst),
        protocol: u32::from(network.protocol),
    }
}

/// Errors quote the start of the packet they are about (RFC 792; RFC 4443, 2.4).
#[inline(always)]
fn icmp(
    bytes: &(impl Bytes + ?Sized),
    outer: &Network,
    ethertype: u16,
    l3: u32,
    l4: u32,
) -> Result<Option<Packet>, Reason> {
    let icmp: Icmp = bytes.header(l4).ok_or(Reason::Malformed)?;
    match meaning(outer.family, outer.protocol, icmp.kind) {
        Meaning::Query => return Ok(Some(other(outer, l3, l4))),
        Meaning::Link => return Ok(None),
        Meaning::Error => {}
    }
    let inner_l3 = l4 + Icmp::LEN;
    // What is quoted badly is no error of a flow of ours, and no reason to drop it.
    let Ok(Some(inner)) = network(bytes, ethertype, inner_l3) else { return Ok(None) };
    if inner.later_fragment || (inner.protocol != protocol::TCP && inner.protocol != protocol::UDP) {
        return Ok(None);
    }
    let inner_l4 = inner_l3 + inner.length;
    let Some(ports) = bytes.header::<Ports>(inner_l4) else { return Ok(None) };
    Ok(Some(Packet {
        key: key(&inner, ports).reversed(),
        family: outer.family,
        kind: Kind::IcmpError,
        tcp_flags: 0,
        ttl: outer.ttl,
        l3,
        l4,
        inner_l4,
    }))
}

/// What an ICMP message is for.
enum Meaning {
    /// It reports about a packet. Nobody may be told of an error about it (RFC 1122, 3.2.2; RFC 4443, 2.4 (e)).
    Error,
    /// It belongs to the link: neighbour discovery (RFC 4861), which comes before any address is reached, and redirects.
    Link,
    /// It asks, or answers to that.
    Query,
}

#[inline(always)]
fn meaning(family: Family, protocol: u8, kind: u8) -> Meaning {
    match (family, protocol, kind) {
        // Destination unreachable, time exceeded, parameter problem; source quench (no more, RFC 6633) and redirect.
        (Family::V4, protocol::ICMP, 3 | 11 | 12) => Meaning::Error,
        (Family::V4, protocol::ICMP, 4 | 5) => Meaning::Link,
        // The lower half of the types are errors (RFC 4443, 2.1).
        (Family::V6, protocol::ICMPV6, 0..128) => Meaning::Error,
        (Family::V6, protocol::ICMPV6, 133..=137) => Meaning::Link,
        _ => Meaning::Query,
    }
}

#[inline(always)]
fn network(bytes: &(impl Bytes + ?Sized), ethertype: u16, l3: u32) -> Result<Option<Network>, Reason> {
    match ethertype {
        ETH_P_IP => ipv4(bytes, l3).map(Some),
        ETH_P_IPV6 => ipv6(bytes, l3).map(Some),
        _ => Ok(None),
    }
}

#[inline(always)]
fn ipv4(bytes: &(impl Bytes + ?Sized), l3: u32) -> Result<Network, Reason> {
    let header: Ipv4 = bytes.header(l3).ok_or(Reason::Malformed)?;
    if header.length() < Ipv4::LEN {
        return Err(Reason::Malformed);
    }
    Ok(Network {
        family: Family::V4,
        src: Addr::from_v4_word(header.src),
        dst: Addr::from_v4_word(header.dst),
        protocol: header.protocol,
        ttl: header.ttl,
        length: header.length(),
        later_fragment: header.fragment_offset() != 0,
    })
}

#[inline(always)]
fn ipv6(bytes: &(impl Bytes + ?Sized), l3: u32) -> Result<Network, Reason> {
    let header: Ipv6 = bytes.header(l3).ok_or(Reason::Malformed)?;
    let (src, dst) = (Addr::from_words(header.src), Addr::from_words(header.dst));
    if src.family() == Family::V4 || dst.family() == Family::V4 {
        return Err(Reason::MappedAddress);
    }
    let mut next = header.next_header;
    let mut length = Ipv6::LEN;
    let mut later_fragment = false;
    let mut i = 0;
    while i < MAX_EXTENSIONS {
        i += 1;
        let in_eights = match next {
            // Hop-by-hop, routing, destination options (RFC 8200, 4.3, 4.4, 4.6).
            0 | 43 | 60 => true,
            // Fragment (RFC 8200, 4.5), authentication (RFC 4302, 2.2).
            44 | 51 => false,
            _ => break,
        };
        let extension: Ipv6Extension = bytes.header(l3 + length).ok_or(Reason::Malformed)?;
        length += match (in_eights, next) {
            (true, _) => (u32::from(extension.length) + 1) * 8,
            (false, 44) => 8,
            (false, _) => (u32::from(extension.length) + 2) * 4,
        };
        if next == 44 && u16::from_be(extension.fragment) >> 3 != 0 {
            later_fragment = true;
            break;
        }
        next = extension.next_header;
    }
    Ok(Network { family: Family::V6, src, dst, protocol: next, ttl: header.hop_limit, length, later_fragment })
}
