//! What the programs say of each packet when they are being debugged. Off, this is dead code to the verifier.

use aya_ebpf::programs::TcContext;
use aya_log_ebpf::debug;
use aya_log_ebpf::macro_support::{Level, level_enabled};
use proxy_common::addr::Addr;
use proxy_common::drop::Stop;
use proxy_common::packet::Packet;

use super::skb::Skb;

/// Logs a packet and what became of it: 0 when it was sent on, -1 when it was left to the next, -2 when it is a fragment
/// that waits, -3 when it was left to conntrack, else the number of the reason why it was dropped.
#[inline(always)]
pub(crate) fn outcome(skb: Skb, packet: &Packet, done: Result<(), Stop>) {
    if level_enabled(Level::Debug) {
        write(skb, packet, done);
    }
}

#[inline(never)]
fn write(skb: Skb, packet: &Packet, done: Result<(), Stop>) {
    let key = &packet.key;
    let number = match done {
        Ok(()) => 0,
        Err(Stop::NotOurs) => -1,
        Err(Stop::Held) => -2,
        Err(Stop::LeftToConntrack) => -3,
        Err(Stop::Drop(reason)) => reason.number().cast_signed(),
    };
    debug!(
        TcContext::new(skb.0),
        "interface {} protocol {} {:i} {} -> {:i} {}: {}",
        skb.ifindex(),
        key.protocol,
        octets(&key.src),
        key.src_port.number(),
        octets(&key.dst),
        key.dst_port.number(),
        number
    );
}

#[inline(always)]
fn octets(addr: &Addr) -> [u8; 16] {
    // SAFETY: both are sixteen bytes of which any make up a value.
    unsafe { core::mem::transmute(addr.words()) }
}
