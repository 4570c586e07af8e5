//! Turns an SCTP packet into the ABORT that answers it.

use proxy_common::crc32c::Crc32c;
use proxy_common::drop::Reason;
use proxy_common::packet::Packet;
use proxy_common::sctp::chunk;
use proxy_common::wire::{Bytes as _, Header, Ports, Sctp, SctpChunk};

use super::answer::turn_ip;
use super::rewrite::crc32c_product;
use super::skb::Skb;

/// An ABORT without a cause, and nothing else.
#[derive(Clone, Copy)]
#[repr(C)]
struct Abort {
    header: Sctp,
    chunk: SctpChunk,
}

// SAFETY: two headers, without padding between.
unsafe impl Header for Abort {}

/// RFC 9260, 8.4, rule 8: the tag is sent back, and the chunk says so. The sender of an INIT gets the tag that it asks for
/// (5.1).
#[inline(never)]
pub(super) fn abort(skb: Skb, packet: &Packet) -> Result<(), Reason> {
    let Abort { header, .. } = skb.header(packet.l4).ok_or(Reason::Malformed)?;
    let (tag, flags) = if packet.is_syn() {
        (skb.header(packet.l4 + size_of::<Abort>() as u32).ok_or(Reason::Malformed)?, 0)
    } else {
        (Word(header.tag), chunk::TAG_REFLECTED)
    };
    let mut answer = Abort {
        header: Sctp { src_port: header.dst_port, dst_port: header.src_port, tag: tag.0, checksum: 0 },
        chunk: SctpChunk { kind: chunk::ABORT, flags, length: (SctpChunk::LEN as u16).to_be() },
    };
    // A field of 0 was left to the network card, which still fills it.
    if header.checksum != 0 {
        answer.header.checksum = sum(&answer);
    }
    skb.resize(packet.l4 + size_of::<Abort>() as u32)?;
    skb.store(packet.l4, &answer)?;
    turn_ip(skb, packet, size_of::<Abort>() as u32)
}

/// Four bytes as they lie in the packet.
#[derive(Clone, Copy)]
#[repr(transparent)]
struct Word(u32);

// SAFETY: one integer.
unsafe impl Header for Word {}

#[inline(always)]
fn sum(abort: &Abort) -> u32 {
    let Abort { header, chunk } = abort;
    let [high, low] = chunk.length.to_ne_bytes();
    let ports = Ports { src: header.src_port, dst: header.dst_port }.word();
    let chunk = u32::from_ne_bytes([chunk.kind, chunk.flags, high, low]);
    [ports, header.tag, header.checksum, chunk]
        .into_iter()
        .fold(Crc32c::EMPTY, |sum, word| sum.word(word, |a, b| crc32c_product(a, b)))
        .field()
}
