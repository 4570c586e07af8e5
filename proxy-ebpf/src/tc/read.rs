//! Reads a packet.

use aya_ebpf::bindings::__sk_buff;
use proxy_common::drop::{Reason, Stop};
use proxy_common::packet::{Packet, parse};

use super::skb::Skb;

/// Reads the packet, which begins with `link_layer` bytes of link-layer header.
///
/// # Errors
/// [`Stop::NotOurs`] for what no decision is about, and those of [`parse`].
#[inline(always)]
pub(super) fn read(skb: Skb, link_layer: u32, packet: &mut Packet) -> Result<(), Stop> {
    match read_packet(skb.0, link_layer, packet) {
        READ => Ok(()),
        MALFORMED => Err(Stop::Drop(Reason::Malformed)),
        MAPPED_ADDRESS => Err(Stop::Drop(Reason::MappedAddress)),
        _ => Err(Stop::NotOurs),
    }
}

const READ: u32 = 0;
const MALFORMED: u32 = Reason::Malformed.number();
const MAPPED_ADDRESS: u32 = Reason::MappedAddress.number();
const NOT_OURS: u32 = u32::MAX;

/// A function that the verifier looks at by itself and once, for all who ask: a packet inside an ICMP error is read as the
/// one around it, which makes many ways. Returns the reason's number.
#[inline(never)]
#[unsafe(no_mangle)]
pub(crate) extern "C" fn read_packet(skb: *mut __sk_buff, link_layer: u32, packet: *mut Packet) -> u32 {
    // SAFETY: the caller's, which uses it again only after this returns.
    let Some(packet) = (unsafe { packet.as_mut() }) else { return NOT_OURS };
    let skb = Skb(skb);
    match parse(&skb, skb.ethertype(), link_layer) {
        Ok(Some(read)) => {
            *packet = read;
            READ
        }
        Ok(None) => NOT_OURS,
        Err(reason) => reason.number(),
    }
}
