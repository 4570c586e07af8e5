//! Puts a record's addresses and ports into a packet.

use aya_ebpf::bindings::{BPF_F_MARK_MANGLED_0, BPF_F_PSEUDO_HDR};
use aya_ebpf::helpers::generated::{bpf_l3_csum_replace, bpf_l4_csum_replace};
use proxy_common::addr::{Addr, Family, protocol};
use proxy_common::checksum::Delta;
use proxy_common::crc32c;
use proxy_common::drop::Reason;
use proxy_common::packet::{Kind, Packet, Part};
use proxy_common::tables::FlowRecord;
use proxy_common::wire::{Bytes as _, Icmp, Ipv4, Ipv6, Ports, Sctp, Tcp, Udp};

use super::skb::{Skb, done};

/// Translates a packet by the record of its flow, and gives it a time to live.
#[inline(always)]
pub(crate) fn translate(skb: Skb, packet: &Packet, record: &FlowRecord, ttl: u8) -> Result<(), Reason> {
    // Beside the others, not below them: their stack and its own are not in use at the same time.
    if matches!(packet.kind, Kind::Transport) && packet.key.protocol == u32::from(protocol::SCTP) {
        sctp(skb, packet, record, ttl)
    } else {
        summed(skb, packet, record, ttl)
    }
}

/// What has an Internet checksum, or none.
#[inline(never)]
fn summed(skb: Skb, packet: &Packet, record: &FlowRecord, ttl: u8) -> Result<(), Reason> {
    match packet.kind {
        Kind::Transport => transport(skb, packet, record, ttl),
        Kind::IcmpError => icmp_error(skb, packet, record, ttl),
        // The transport's checksum is in the first fragment, and its change made there; what is of no flow has no record.
        Kind::Fragment | Kind::Other => addresses(skb, packet, record, ttl),
    }
}

#[inline(always)]
fn transport(skb: Skb, packet: &Packet, record: &FlowRecord, ttl: u8) -> Result<(), Reason> {
    let key = &packet.key;
    let old = Ports { src: key.src_port.wire(), dst: key.dst_port.wire() };
    let new = Ports { src: record.src_port.wire(), dst: record.dst_port.wire() };
    let (checksum, flags) = if key.protocol == u32::from(protocol::TCP) {
        (Tcp::CHECKSUM, 0)
    } else {
        (Udp::CHECKSUM, u64::from(BPF_F_MARK_MANGLED_0))
    };
    let at = packet.l4 + checksum;
    let delta = change(packet.family, change(packet.family, Delta::NONE, &key.src, &record.src), &key.dst, &record.dst);
    add_pseudo_header(skb, at, packet.family, delta, flags)?;
    if old.src != new.src || old.dst != new.dst {
        add_l4(skb, at, Delta::NONE.half(old.src, new.src).half(old.dst, new.dst), flags)?;
        skb.store(packet.l4, &new)?;
    }
    set_header(skb, packet, record, ttl, delta)
}

/// SCTP's checksum doesn't cover addresses. A first fragment doesn't tell how long the packet is that it does cover.
#[inline(never)]
fn sctp(skb: Skb, packet: &Packet, record: &FlowRecord, ttl: u8) -> Result<(), Reason> {
    let key = &packet.key;
    let old = Ports { src: key.src_port.wire(), dst: key.dst_port.wire() };
    let new = Ports { src: record.src_port.wire(), dst: record.dst_port.wire() };
    if old.src != new.src || old.dst != new.dst {
        if !matches!(packet.part, Part::Whole) {
            return Err(Reason::RewriteFailed);
        }
        let header: Sctp = skb.header(packet.l4).ok_or(Reason::Malformed)?;
        let length = skb.ip_end(packet)?.saturating_sub(packet.l4) as u16;
        let checksum = updated_crc32c(header.checksum, old.word(), new.word(), u32::from(length));
        skb.store_unsummed(packet.l4, &new)?;
        skb.store_unsummed(packet.l4 + Sctp::CHECKSUM, &checksum)?;
    }
    addresses(skb, packet, record, ttl)
}

// Functions that the verifier looks at by themselves, for any arguments, and once: what they compute takes thousands of
// instructions, and would be looked at again for each way that leads here.

#[inline(never)]
#[unsafe(no_mangle)]
pub(crate) extern "C" fn updated_crc32c(field: u32, old: u32, new: u32, length: u32) -> u32 {
    crc32c::update(field, old, new, length as u16, |a, b| crc32c_product(a, b))
}

#[inline(never)]
#[unsafe(no_mangle)]
pub(crate) extern "C" fn crc32c_product(a: u32, b: u32) -> u32 {
    crc32c::multiply(a, b)
}

/// Addresses alone, where no checksum behind the IP header makes up for them.
#[inline(always)]
fn addresses(skb: Skb, packet: &Packet, record: &FlowRecord, ttl: u8) -> Result<(), Reason> {
    let (key, family) = (&packet.key, packet.family);
    match family {
        Family::V4 => {
            let delta = change(family, change(family, Delta::NONE, &key.src, &record.src), &key.dst, &record.dst);
            set_header(skb, packet, record, ttl, delta)
        }
        Family::V6 => {
            skb.store_unsummed(packet.l3 + Ipv6::SRC, &[record.src, record.dst])?;
            set_hop_limit(skb, packet, ttl)
        }
    }
}

/// An error quotes a packet of the opposite direction: its source is the error's destination.
#[inline(always)]
fn icmp_error(skb: Skb, packet: &Packet, record: &FlowRecord, ttl: u8) -> Result<(), Reason> {
    let (key, family) = (&packet.key, packet.family);
    // Whoever reports, to the near end it is the far end, as with the kernel's own NAT: another node that reports about a
    // packet of its own pod would else get the report with its own address as source, and drop it.
    let outer = change(family, change(family, Delta::NONE, &packet.from, &record.src), &key.dst, &record.dst);
    let inner = change(family, change(family, Delta::NONE, &key.dst, &record.dst), &key.src, &record.src);
    let ports =
        Delta::NONE.half(key.dst_port.wire(), record.dst_port.wire()).half(key.src_port.wire(), record.src_port.wire());
    let at = packet.l4 + Icmp::CHECKSUM;
    add_l4(skb, at, ports, 0)?;
    if family == Family::V6 {
        // ICMPv6 covers a pseudo-header and what it quotes. An IPv4 header's change is made good by its own checksum.
        add_pseudo_header(skb, at, family, outer, 0)?;
        add_l4(skb, at, inner, 0)?;
    }
    skb.store(packet.inner_l4, &Ports { src: record.dst_port.wire(), dst: record.src_port.wire() })?;
    set_quoted(skb, family, packet.l4 + Icmp::LEN, record, inner)?;
    set_header(skb, packet, record, ttl, outer)
}

/// What turning one address into another does to a sum.
#[inline(always)]
fn change(family: Family, delta: Delta, old: &Addr, new: &Addr) -> Delta {
    match family {
        Family::V4 => delta.word(old.v4_word(), new.v4_word()),
        Family::V6 => delta.words(old.words(), new.words()),
    }
}

/// An IPv4 header from the time to live on.
#[derive(Clone, Copy)]
#[repr(C)]
struct FromTtl {
    ttl_protocol: u16,
    checksum: u16,
    src: u32,
    dst: u32,
}

/// Puts addresses and a time to live into the packet's own IP header; `delta` is what the addresses change. Each call of a
/// helper costs about as much as a look-up in a table, so an IPv4 header's checksum is made here, and written with them.
#[inline(always)]
fn set_header(skb: Skb, packet: &Packet, record: &FlowRecord, ttl: u8, delta: Delta) -> Result<(), Reason> {
    let (src, dst) = (&record.src, &record.dst);
    match packet.family {
        Family::V4 => {
            // In IPv4 it is the header's own.
            let protocol = packet.fragment_protocol as u8;
            let [old, new] = [packet.ttl, ttl].map(|ttl| u16::from_ne_bytes([ttl, protocol]));
            let checksum = delta.half(old, new).apply(packet.checksum);
            let (src, dst) = (src.v4_word(), dst.v4_word());
            skb.store(packet.l3 + Ipv4::TTL, &FromTtl { ttl_protocol: new, checksum, src, dst })
        }
        Family::V6 => {
            skb.store(packet.l3 + Ipv6::SRC, &[*src, *dst])?;
            set_hop_limit(skb, packet, ttl)
        }
    }
}

/// No checksum in the packet covers it.
#[inline(always)]
fn set_hop_limit(skb: Skb, packet: &Packet, ttl: u8) -> Result<(), Reason> {
    if ttl == packet.ttl { Ok(()) } else { skb.store_unsummed(packet.l3 + Ipv6::HOP_LIMIT, &ttl) }
}

/// Puts addresses into the IP header at `l3` that an ICMP error quotes; `delta` is what that changes.
#[inline(always)]
fn set_quoted(skb: Skb, family: Family, l3: u32, record: &FlowRecord, delta: Delta) -> Result<(), Reason> {
    let (src, dst) = (&record.dst, &record.src);
    match family {
        Family::V4 => {
            add_l3(skb, l3, delta)?;
            skb.store(l3 + Ipv4::SRC, &[src.v4_word(), dst.v4_word()])
        }
        Family::V6 => skb.store(l3 + Ipv6::SRC, &[*src, *dst]),
    }
}

#[inline(always)]
fn add_l3(skb: Skb, l3: u32, delta: Delta) -> Result<(), Reason> {
    // SAFETY: the helper checks the packet's bounds.
    done(unsafe { bpf_l3_csum_replace(skb.0, l3 + Ipv4::CHECKSUM, 0, delta.kernel(), 0) })
}

/// Adds to a transport checksum what a change of addresses makes, by way of the pseudo-header.
#[inline(always)]
fn add_pseudo_header(skb: Skb, at: u32, family: Family, delta: Delta, flags: u64) -> Result<(), Reason> {
    // Linux 6.16 (commit ead7f9b8de65): without it a change of IPv6 addresses spoils a sum that the network card took
    // over the whole packet. A kernel that doesn't know the flag says so before it changes anything.
    const BPF_F_IPV6: u64 = 1 << 7;
    let flags = flags | u64::from(BPF_F_PSEUDO_HDR);
    match family {
        Family::V4 => add_l4(skb, at, delta, flags),
        Family::V6 => add_l4(skb, at, delta, flags | BPF_F_IPV6).or_else(|_| add_l4(skb, at, delta, flags)),
    }
}

/// The helper knows whether the checksum is complete, or only begun and left to the network card.
#[inline(always)]
fn add_l4(skb: Skb, at: u32, delta: Delta, flags: u64) -> Result<(), Reason> {
    // SAFETY: the helper checks the packet's bounds.
    done(unsafe { bpf_l4_csum_replace(skb.0, at, 0, delta.kernel(), flags) })
}
