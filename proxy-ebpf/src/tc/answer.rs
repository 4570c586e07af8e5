//! Turns a packet into the answer to itself: a TCP reset, an SCTP ABORT, or an ICMP error.

use aya_ebpf::bindings::{TC_ACT_REDIRECT, TC_ACT_SHOT};
use proxy_common::addr::{Family, protocol};
use proxy_common::checksum::Sum;
use proxy_common::drop::Reason;
use proxy_common::nat::Hook;
use proxy_common::packet::{Kind, Packet};
use proxy_common::wire::{Bytes as _, Header, Icmp, Ipv4, Ipv6, Tcp};

use super::abort::abort;
use super::route::{deliver_to_node, redirect};
use super::skb::{Macs, Skb};

/// What to tell the sender: one word, as a function of a program takes five at the most.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(transparent)]
pub(crate) struct Answer(u32);

impl Answer {
    /// Nobody serves this: a reset, or "port unreachable".
    pub(crate) const REFUSED: Self = Self(0x1_0000);
    /// "Time exceeded".
    pub(crate) const TTL_EXCEEDED: Self = Self(0x2_0000);

    /// Policies deny this: a reset, or "communication administratively prohibited".
    pub(crate) const PROHIBITED: Self = Self(0x3_0000);

    /// "Fragmentation needed" or "packet too big": the next link takes so many bytes.
    #[inline(always)]
    pub(crate) const fn too_big(mtu: u16) -> Self {
        Self(mtu as u32)
    }

    /// The sender is told to give up.
    #[inline(always)]
    fn ends_connection(self) -> bool {
        matches!(self, Self::REFUSED | Self::PROHIBITED)
    }

    /// Type, code and last word of the ICMP error.
    #[inline(always)]
    fn icmp(self, family: Family) -> (u8, u8, u32) {
        match (self, family) {
            (Self::REFUSED, Family::V4) => (3, 3, 0),
            (Self::REFUSED, Family::V6) => (1, 4, 0),
            (Self::TTL_EXCEEDED, Family::V4) => (11, 0, 0),
            (Self::TTL_EXCEEDED, Family::V6) => (3, 0, 0),
            (Self::PROHIBITED, Family::V4) => (3, 13, 0),
            (Self::PROHIBITED, Family::V6) => (1, 1, 0),
            (Self(mtu), Family::V4) => (3, 4, mtu),
            (Self(mtu), Family::V6) => (2, 0, mtu),
        }
    }
}

/// Hop limit of what we send ourselves (RFC 1700's default, and Linux's).
const TTL: u8 = 64;
/// Bytes of the transport header that an ICMP error quotes (RFC 792).
const QUOTED: u32 = 8;

/// Sends the answer where the packet came from. Returns the program's verdict: a drop when there is none to be sent, as
/// to a reset or an error.
#[inline(never)]
pub(crate) fn answer(skb: Skb, packet: &Packet, hook: Hook, answer: Answer, link_layer: u32) -> i32 {
    send_back(skb, packet, hook, answer, link_layer).map_or(TC_ACT_SHOT, |()| TC_ACT_REDIRECT)
}

#[inline(always)]
fn send_back(skb: Skb, packet: &Packet, hook: Hook, answer: Answer, link_layer: u32) -> Result<(), Reason> {
    // Nor is a fragment without its start (RFC 1122, 3.2.2).
    let unanswerable = matches!(packet.kind, Kind::IcmpError | Kind::Fragment) || packet.tcp_flags & Tcp::RST != 0;
    let to_many = link_layer != 0 && skb.is_for_many_hosts();
    if unanswerable || to_many || !packet.key.src.is_single_host() {
        return Err(Reason::NoConnection);
    }
    match packet.key.protocol as u8 {
        protocol::TCP if answer.ends_connection() => reset(skb, packet)?,
        protocol::SCTP if answer.ends_connection() => abort(skb, packet)?,
        _ => icmp(skb, packet, answer)?,
    }
    if matches!(hook, Hook::FromNode | Hook::FromNodeToPod) {
        return deliver_to_node(skb, link_layer);
    }
    if link_layer != 0 {
        let Macs { dst, src } = skb.header(0).ok_or(Reason::RewriteFailed)?;
        skb.store(0, &Macs { dst: src, src: dst })?;
    }
    // It is an answer of ours, which the hook that it leaves by is not to judge.
    skb.set_judged(true);
    redirect(skb.ifindex(), 0);
    Ok(())
}

/// RFC 9293, 3.10.7.1.
#[inline(always)]
fn reset(skb: Skb, packet: &Packet) -> Result<(), Reason> {
    let tcp: Tcp = skb.header(packet.l4).ok_or(Reason::Malformed)?;
    let segment = skb.ip_end(packet)?.saturating_sub(packet.l4 + u32::from(tcp.offset >> 4) * 4)
        + u32::from(tcp.flags & Tcp::SYN != 0)
        + u32::from(tcp.flags & Tcp::FIN != 0);
    let (sequence, acknowledgement, flags) = if tcp.flags & Tcp::ACK != 0 {
        (tcp.acknowledgement, 0, Tcp::RST)
    } else {
        (0, u32::from_be(tcp.sequence).wrapping_add(segment).to_be(), Tcp::RST | Tcp::ACK)
    };
    let begun = tcp.checksum == !pseudo_header(packet, skb.length().saturating_sub(packet.l4)).checksum();
    skb.resize(packet.l4 + Tcp::LEN)?;
    let mut header = Tcp {
        src_port: tcp.dst_port,
        dst_port: tcp.src_port,
        sequence,
        acknowledgement,
        offset: (Tcp::LEN as u8 / 4) << 4,
        flags,
        window: 0,
        checksum: 0,
        urgent: 0,
    };
    let pseudo = pseudo_header(packet, Tcp::LEN);
    header.checksum = if begun {
        // The sender left the sum over the segment to its network card, which still does it.
        !pseudo.checksum()
    } else {
        tcp_sum(pseudo, &header).checksum()
    };
    skb.store(packet.l4, &header)?;
    turn_ip(skb, packet, Tcp::LEN)
}

/// Replaces the IP header by that of the way back, of a transport packet of `length` bytes. What has options or extension
/// headers is not answered.
#[inline(always)]
pub(super) fn turn_ip(skb: Skb, packet: &Packet, length: u32) -> Result<(), Reason> {
    let number = packet.key.protocol as u8;
    match (packet.family, packet.l4 - packet.l3) {
        (Family::V4, Ipv4::LEN) => skb.store(packet.l3, &ipv4_back(packet, number, Ipv4::LEN + length)),
        (Family::V6, Ipv6::LEN) => skb.store(packet.l3, &ipv6_back(packet, number, length)),
        _ => Err(Reason::NoConnection),
    }
}

/// The pseudo-header's sum is the same in both directions.
#[inline(always)]
fn pseudo_header(packet: &Packet, length: u32) -> Sum {
    let sum = match packet.family {
        Family::V4 => Sum::default().word(packet.key.src.v4_word()).word(packet.key.dst.v4_word()),
        Family::V6 => Sum::default().words(packet.key.src.words()).words(packet.key.dst.words()),
    };
    sum.word(length.to_be()).word(packet.key.protocol.to_be())
}

#[inline(always)]
fn tcp_sum(pseudo: Sum, tcp: &Tcp) -> Sum {
    let word = |a: u16, b: u16| {
        u32::from_ne_bytes([a.to_ne_bytes()[0], a.to_ne_bytes()[1], b.to_ne_bytes()[0], b.to_ne_bytes()[1]])
    };
    pseudo
        .word(word(tcp.src_port, tcp.dst_port))
        .word(tcp.sequence)
        .word(tcp.acknowledgement)
        .word(u32::from_ne_bytes([tcp.offset, tcp.flags, 0, 0]))
}

#[inline(always)]
fn ipv4_back(packet: &Packet, number: u8, total_length: u32) -> Ipv4 {
    let mut ip = Ipv4 {
        version_length: 0x45,
        tos: 0,
        total_length: (total_length as u16).to_be(),
        id: 0,
        fragment: 0,
        ttl: TTL,
        protocol: number,
        checksum: 0,
        src: packet.key.dst.v4_word(),
        dst: packet.key.src.v4_word(),
    };
    let [length_high, length_low] = ip.total_length.to_ne_bytes();
    ip.checksum = Sum::default()
        .word(u32::from_ne_bytes([ip.version_length, 0, length_high, length_low]))
        .word(u32::from_ne_bytes([TTL, number, 0, 0]))
        .word(ip.src)
        .word(ip.dst)
        .checksum();
    ip
}

#[inline(always)]
fn ipv6_back(packet: &Packet, number: u8, payload_length: u32) -> Ipv6 {
    Ipv6 {
        version_class_label: 0x6000_0000_u32.to_be(),
        payload_length: (payload_length as u16).to_be(),
        next_header: number,
        hop_limit: TTL,
        src: packet.key.dst.words(),
        dst: packet.key.src.words(),
    }
}

/// The start of a packet that an ICMP error quotes: IP header without options or extensions, and eight bytes more.
#[derive(Clone, Copy)]
#[repr(C)]
struct Quote<const WORDS: usize>([u32; WORDS]);

// SAFETY: integers only.
unsafe impl<const WORDS: usize> Header for Quote<WORDS> {}

impl<const WORDS: usize> Quote<WORDS> {
    #[inline(always)]
    fn sum(&self, mut sum: Sum) -> Sum {
        let mut i = 0;
        while i < WORDS {
            sum = sum.word(self.0[i]);
            i += 1;
        }
        sum
    }
}

#[inline(always)]
fn icmp(skb: Skb, packet: &Packet, answer: Answer) -> Result<(), Reason> {
    let l4 = packet.l4 - packet.l3;
    match packet.family {
        Family::V4 if l4 == Ipv4::LEN => {
            let quote: Quote<7> = skb.header(packet.l3).ok_or(Reason::Malformed)?;
            let (kind, code, rest) = answer.icmp(packet.family);
            let header = Icmp { kind, code, checksum: 0, rest: rest.to_be() };
            let length = Icmp::LEN + Ipv4::LEN + QUOTED;
            quote_in(skb, packet.l3 + Ipv4::LEN, header, quote.sum(Sum::default()), &quote)?;
            skb.store(packet.l3, &ipv4_back(packet, protocol::ICMP, Ipv4::LEN + length))
        }
        Family::V6 if l4 == Ipv6::LEN => {
            let quote: Quote<12> = skb.header(packet.l3).ok_or(Reason::Malformed)?;
            let (kind, code, rest) = answer.icmp(packet.family);
            let header = Icmp { kind, code, checksum: 0, rest: rest.to_be() };
            let length = Icmp::LEN + Ipv6::LEN + QUOTED;
            let pseudo = Sum::default()
                .words(packet.key.src.words())
                .words(packet.key.dst.words())
                .word(length.to_be())
                .word(u32::from(protocol::ICMPV6).to_be());
            quote_in(skb, packet.l3 + Ipv6::LEN, header, quote.sum(pseudo), &quote)?;
            skb.store(packet.l3, &ipv6_back(packet, protocol::ICMPV6, length))
        }
        _ => Err(Reason::NoConnection),
    }
}

#[inline(always)]
fn quote_in<const WORDS: usize>(
    skb: Skb,
    at: u32,
    mut header: Icmp,
    quoted: Sum,
    quote: &Quote<WORDS>,
) -> Result<(), Reason> {
    header.checksum = quoted.word(u32::from_ne_bytes([header.kind, header.code, 0, 0])).word(header.rest).checksum();
    skb.resize(at + Icmp::LEN + size_of::<Quote<WORDS>>() as u32)?;
    skb.store(at, &header)?;
    skb.store(at + Icmp::LEN, quote)
}
