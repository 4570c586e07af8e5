//! What we need to know of a packet.

mod ip;

use core::mem::MaybeUninit;

pub use ip::{Network, network};

use crate::addr::{Addr, Family, Port, protocol};
use crate::drop::Reason;
use crate::sctp;
use crate::tables::FlowKey;
use crate::wire::{Bytes, Icmp, Ipv6, Ports, Sctp, SctpChunk, Tcp, Udp};

/// Hop limit of what no router let pass: neighbour discovery is believed with no other (RFC 4861, 6.1, 7.1 and 8.1).
const HOP_LIMIT_ON_LINK: u8 = 255;

/// `EtherType` of IPv4, as it lies in memory.
pub const ETH_P_IP: u16 = 0x0800_u16.to_be();
/// `EtherType` of ARP, as it lies in memory.
pub const ETH_P_ARP: u16 = 0x0806_u16.to_be();
/// `EtherType` of IPv6, as it lies in memory.
pub const ETH_P_IPV6: u16 = 0x86dd_u16.to_be();

/// An IP packet. What the tables are asked about most comes first: its address is the packet's own, which saves the kernel
/// programs a pointer on their stack.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(C)]
pub struct Packet {
    /// The packet's addresses and ports. For an ICMP error: those of the packet it is about, reversed; it travels in
    /// the same direction of the same flow as a packet with these. Ports are 0 in [`Kind::Other`], and in an error about
    /// another protocol. An error that quotes nothing we can read has its own addresses and protocol.
    pub key: FlowKey,
    /// The address that sent it: the source in its IP header, also where that of `key` is another.
    pub from: Addr,
    /// IP version.
    pub family: Family,
    /// What it is.
    pub kind: Kind,
    /// TCP flags, or those that stand for an SCTP packet ([`sctp::flags`]); 0 otherwise.
    pub tcp_flags: u8,
    /// Time to live or hop limit.
    pub ttl: u8,
    /// Checksum of an IPv4 header, as it lies in the packet; 0 in IPv6.
    pub checksum: u16,
    /// Offset of the IP header.
    pub l3: u32,
    /// Offset of the header after IP's.
    pub l4: u32,
    /// For an ICMP error, offset of the quoted transport header; 0 otherwise, and where the quote can't be read.
    pub inner_l4: u32,
    /// How much of a datagram it is.
    pub part: Part,
    /// Identification of a fragment, as it lies in the packet; 0 in a whole datagram.
    pub fragment_id: u32,
    /// The protocol that identifies a fragment's datagram beside that: 0 in IPv6.
    pub fragment_protocol: u32,
}

/// Kind of packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// TCP segment, UDP datagram or SCTP packet.
    Transport,
    /// ICMP or ICMPv6 error.
    IcmpError,
    /// A fragment without the start of its datagram: it has no ports until [`crate::fragment::recall`] gives it some. Also
    /// the first of an ICMP error, which is left as it is.
    Fragment,
    /// None of these: of no flow, but it may be meant for an address that only a Service has.
    Other,
}

/// How much of a datagram a packet is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Part {
    /// All of it.
    #[default]
    Whole,
    /// Its start, with the transport header.
    First,
    /// What follows.
    Later,
}

impl Packet {
    /// Opens a TCP connection or an SCTP association.
    #[inline(always)]
    #[must_use]
    pub const fn is_syn(&self) -> bool {
        self.tcp_flags & (Tcp::SYN | Tcp::ACK | Tcp::RST) == Tcp::SYN
    }

    /// May be the first of a flow.
    #[inline(always)]
    #[must_use]
    pub fn opens(&self) -> bool {
        matches!(self.kind, Kind::Transport) && (self.key.protocol == u32::from(protocol::UDP) || self.is_syn())
    }
}

/// What packets are read from.
pub trait Readable: Bytes {
    /// [`network`]. The kernel programs have a function of their own for it, at which the verifier looks once instead of once
    /// for each way that leads to it: an ICMP error has two IP headers.
    ///
    /// # Errors
    /// As [`network`]'s.
    #[inline(always)]
    fn network<'a>(
        &self,
        ethertype: u16,
        l3: u32,
        to: &'a mut MaybeUninit<Network>,
    ) -> Result<Option<&'a Network>, Reason> {
        network(self, ethertype, l3, to)
    }
}

impl Readable for [u8] {}

/// Reads a packet whose IP header begins at `l3` into `to`. `None` for what no decision is about: what isn't IP, and what a
/// link's neighbours say to each other.
///
/// # Errors
/// [`Reason::Malformed`] when headers are cut short, [`Reason::MappedAddress`] for IPv6 with an IPv4-mapped address.
#[inline(always)]
pub fn parse<'a>(
    bytes: &(impl Readable + ?Sized),
    ethertype: u16,
    l3: u32,
    to: &'a mut MaybeUninit<Packet>,
) -> Result<Option<&'a Packet>, Reason> {
    let Some(packet) = unquoted(bytes, ethertype, l3, to)? else { return Ok(None) };
    if packet.inner_l4 != 0 {
        packet.inner_l4 = 0;
        if let Some((key, l4)) = quoted(bytes, &packet.key.dst, ethertype, packet.l4 + Icmp::LEN) {
            packet.key = key.reversed();
            packet.inner_l4 = l4;
        }
    }
    Ok(Some(packet))
}

/// Reads all but what an ICMP error quotes: where that is to be read, `inner_l4` isn't 0. The memory of the one IP header is
/// then free for the other's.
#[inline(always)]
fn unquoted<'a>(
    bytes: &(impl Readable + ?Sized),
    ethertype: u16,
    l3: u32,
    to: &'a mut MaybeUninit<Packet>,
) -> Result<Option<&'a mut Packet>, Reason> {
    let mut network = MaybeUninit::uninit();
    let Some(network) = bytes.network(ethertype, l3, &mut network)? else { return Ok(None) };
    let packet = to.write(other(network, l3));
    if matches!(network.part, Part::Later) {
        if is_inside_header(network) {
            return Err(Reason::Malformed);
        }
        packet.kind = Kind::Fragment;
        return Ok(Some(packet));
    }
    match network.protocol {
        protocol::TCP => {
            network.holds(Tcp::LEN)?;
            let tcp: Tcp = bytes.header(packet.l4).ok_or(Reason::Malformed)?;
            set_transport(packet, Ports { src: tcp.src_port, dst: tcp.dst_port }, tcp.flags);
        }
        protocol::UDP => {
            network.holds(Udp::LEN)?;
            let udp: Udp = bytes.header(packet.l4).ok_or(Reason::Malformed)?;
            set_transport(packet, Ports { src: udp.src_port, dst: udp.dst_port }, 0);
        }
        protocol::SCTP => {
            network.holds(Sctp::LEN + SctpChunk::LEN)?;
            let ports: Ports = bytes.header(packet.l4).ok_or(Reason::Malformed)?;
            let chunk: SctpChunk = bytes.header(packet.l4 + Sctp::LEN).ok_or(Reason::Malformed)?;
            set_transport(packet, ports, sctp::flags(chunk.kind));
        }
        protocol::ICMP | protocol::ICMPV6 => return icmp(bytes, network, packet),
        _ => {}
    }
    Ok(Some(packet))
}

/// A later fragment that would lie over the transport header of its first (RFC 1858, 3.2; RFC 3128). Other overlaps are
/// left to the receiver: Linux drops a datagram that has any, in IPv6 (RFC 5722) and, since 4.19, in IPv4.
#[inline(always)]
fn is_inside_header(network: &Network) -> bool {
    let length = match network.protocol {
        protocol::TCP => Tcp::LEN,
        protocol::SCTP => Sctp::LEN + SctpChunk::LEN,
        _ => 8,
    };
    u32::from(network.offset) * 8 < length
}

/// The packet, as far as its IP header tells.
#[inline(always)]
fn other(network: &Network, l3: u32) -> Packet {
    Packet {
        key: key(network, Ports { src: 0, dst: 0 }),
        from: network.src,
        family: network.family,
        kind: Kind::Other,
        tcp_flags: 0,
        ttl: network.ttl,
        checksum: network.checksum,
        l3,
        l4: l3 + network.length,
        inner_l4: 0,
        part: network.part,
        fragment_id: network.fragment_id,
        fragment_protocol: network.fragment_protocol,
    }
}

#[inline(always)]
fn set_transport(packet: &mut Packet, ports: Ports, tcp_flags: u8) {
    packet.kind = Kind::Transport;
    packet.key.src_port = Port::from_wire(ports.src);
    packet.key.dst_port = Port::from_wire(ports.dst);
    packet.tcp_flags = tcp_flags;
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

#[inline(always)]
fn icmp<'a>(
    bytes: &(impl Readable + ?Sized),
    outer: &Network,
    packet: &'a mut Packet,
) -> Result<Option<&'a mut Packet>, Reason> {
    outer.holds(Icmp::LEN)?;
    let icmp: Icmp = bytes.header(packet.l4).ok_or(Reason::Malformed)?;
    match meaning(outer, icmp.kind) {
        Meaning::Query => {}
        // Its other fragments are to find it under its own addresses, not under those it quotes, which anybody can choose.
        _ if !matches!(outer.part, Part::Whole) => packet.kind = Kind::Fragment,
        Meaning::Link => return Ok(None),
        Meaning::Advice => packet.kind = Kind::IcmpError,
        Meaning::Error => {
            packet.kind = Kind::IcmpError;
            packet.inner_l4 = packet.l4;
        }
    }
    Ok(Some(packet))
}

/// Errors quote the start of the packet they are about (RFC 792; RFC 4443, 2.4): its addresses and ports, and where the
/// latter are. `to` is who gets the error.
#[inline(always)]
fn quoted(bytes: &(impl Readable + ?Sized), to: &Addr, ethertype: u16, l3: u32) -> Option<(FlowKey, u32)> {
    let mut inner = MaybeUninit::uninit();
    let inner = bytes.network(ethertype, l3, &mut inner).ok()??;
    // An error goes to the source of what it is about. One that doesn't is a packet for somebody else, under the cover of
    // a flow that may be allowed.
    if matches!(inner.part, Part::Later) || inner.src != *to {
        return None;
    }
    let l4 = l3 + inner.length;
    let ports = match inner.protocol {
        protocol::TCP | protocol::UDP | protocol::SCTP => bytes.header(l4)?,
        _ => Ports { src: 0, dst: 0 },
    };
    Some((key(inner, ports), l4))
}

/// What an ICMP message is for.
enum Meaning {
    /// It reports about a packet. Nobody may be told of an error about it (RFC 1122, 3.2.2; RFC 4443, 2.4 (e)).
    Error,
    /// It quotes a packet too, but of no flow's concern: redirects, and source quench (no more, RFC 6633).
    Advice,
    /// It belongs to the link: neighbour discovery (RFC 4861), which comes before any address is reached, and who listens to
    /// which group (RFC 3810). Neither comes from behind a router, or goes there.
    Link,
    /// It asks, or answers to that.
    Query,
}

#[inline(always)]
fn meaning(outer: &Network, kind: u8) -> Meaning {
    match (outer.family, outer.protocol) {
        (Family::V4, protocol::ICMP) => match kind {
            // Destination unreachable, time exceeded, parameter problem.
            3 | 11 | 12 => Meaning::Error,
            4 | 5 => Meaning::Advice,
            _ => Meaning::Query,
        },
        (Family::V6, protocol::ICMPV6) => match kind {
            // The lower half of the types are errors (RFC 4443, 2.1).
            0..128 => Meaning::Error,
            130..=132 | 143 if outer.ttl == 1 && outer.dst.is_group() => Meaning::Link,
            // Nobody puts an extension header before it; what a pod claims by it is read where it must then be.
            133..=137 if outer.ttl == HOP_LIMIT_ON_LINK && outer.length == Ipv6::LEN => Meaning::Link,
            _ => Meaning::Query,
        },
        _ => Meaning::Query,
    }
}

#[cfg(test)]
mod tests;
