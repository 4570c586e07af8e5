//! Reads a packet.

use core::mem::MaybeUninit;

use aya_ebpf::bindings::__sk_buff;
use proxy_common::drop::{Reason, Stop};
use proxy_common::packet::{Network, Packet, Readable, network, parse};

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

// Functions that the verifier looks at by themselves and once, for all who ask. They return the reason's number.

#[inline(never)]
#[unsafe(no_mangle)]
pub(crate) extern "C" fn read_packet(skb: *mut __sk_buff, link_layer: u32, to: *mut Packet) -> u32 {
    // SAFETY: the caller's, which uses it again only after this returns.
    let Some(to) = (unsafe { to.cast::<MaybeUninit<Packet>>().as_mut() }) else { return NOT_OURS };
    let skb = Skb(skb);
    number(parse(&skb, skb.ethertype(), link_layer, to))
}

#[inline(never)]
#[unsafe(no_mangle)]
pub(crate) extern "C" fn read_network(skb: *mut __sk_buff, ethertype: u32, l3: u32, to: *mut Network) -> u32 {
    // SAFETY: the caller's, which uses it again only after this returns.
    let Some(to) = (unsafe { to.cast::<MaybeUninit<Network>>().as_mut() }) else { return NOT_OURS };
    number(network(&Skb(skb), ethertype as u16, l3, to))
}

#[inline(always)]
fn number<T>(read: Result<Option<&T>, Reason>) -> u32 {
    match read {
        Ok(Some(_)) => READ,
        Ok(None) => NOT_OURS,
        Err(reason) => reason.number(),
    }
}

impl Readable for Skb {
    #[inline(always)]
    fn network<'a>(
        &self,
        ethertype: u16,
        l3: u32,
        to: &'a mut MaybeUninit<Network>,
    ) -> Result<Option<&'a Network>, Reason> {
        match read_network(self.0, u32::from(ethertype), l3, to.as_mut_ptr()) {
            // SAFETY: it was written.
            READ => Ok(Some(unsafe { to.assume_init_ref() })),
            MALFORMED => Err(Reason::Malformed),
            MAPPED_ADDRESS => Err(Reason::MappedAddress),
            _ => Ok(None),
        }
    }
}
