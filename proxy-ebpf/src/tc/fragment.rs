//! Datagrams in fragments: ports for those without, and patience for those that come before their first.

use aya_ebpf::bindings::{BPF_ANY, BPF_F_INGRESS, BPF_NOEXIST};
use aya_ebpf::helpers::generated::bpf_clone_redirect;
use proxy_common::drop::{Reason, Stop};
use proxy_common::flow::idle_longer_than;
use proxy_common::fragment::{self, TIMEOUT, recall, waits};
use proxy_common::nat::Hook;
use proxy_common::packet::Part;

use super::skb::{Skb, done};
use crate::maps::{HELD, HELD_BYTES, HELD_PER_DATAGRAM, HeldKey, Scratch};
use crate::tables::Maps;

/// Meets a fragment, before anything is decided about it: a first one leaves its ports, another gets them.
///
/// # Errors
/// [`Stop::Held`] when it came before its first and waits, [`Reason::UnknownFragment`] when it found no place to.
#[inline(never)]
pub(super) fn meet(skb: Skb, hook: Hook, now: u32, scratch: &mut Scratch) -> Result<(), Stop> {
    let datagram = fragment::key(&scratch.packet);
    scratch.held_key = HeldKey { datagram, slot: 0 };
    if matches!(scratch.packet.part, Part::First) {
        fragment::note(&Maps, &scratch.packet, now);
        if HELD.get_ptr(&scratch.held_key).is_some() {
            replay(skb, hook, now, scratch)?;
        }
        return Ok(());
    }
    if recall(&Maps, &mut scratch.packet, now) || !waits(&Maps, &scratch.packet, hook) {
        return Ok(());
    }
    hold(skb, now, scratch)?;
    // The first may have come by on another CPU, and found nobody waiting.
    if recall(&Maps, &mut scratch.packet, now) {
        let _ = HELD.remove(&scratch.held_key);
        return Ok(());
    }
    Err(Stop::Held)
}

/// Puts a fragment by, and leaves its place in the scratch.
#[inline(never)]
fn hold(skb: Skb, now: u32, scratch: &mut Scratch) -> Result<(), Stop> {
    let Scratch { frame, held_key, .. } = scratch;
    frame.since = now;
    frame.length = skb.load_all(&mut frame.bytes).map_err(|_| Reason::UnknownFragment)?;
    // The verifier follows no count that is kept in a map.
    let mut slot = 0;
    while slot < HELD_PER_DATAGRAM {
        held_key.slot = slot;
        slot += 1;
        // SAFETY: the kernel keeps an element it has returned readable until the program ends.
        let standing = unsafe { HELD.get(&*held_key) };
        let replace = match standing {
            Some(held) if idle_longer_than(TIMEOUT, held.since, now) => BPF_ANY,
            _ => BPF_NOEXIST,
        };
        if HELD.insert(&*held_key, &*frame, u64::from(replace)).is_ok() {
            return Ok(());
        }
    }
    Err(Stop::Drop(Reason::UnknownFragment))
}

/// Sends those that waited for this first fragment once more through the hook that it is at. Each in turn takes the place
/// of the packet and is cloned there, and the packet is itself again at the end.
#[inline(never)]
fn replay(skb: Skb, hook: Hook, now: u32, scratch: &mut Scratch) -> Result<(), Reason> {
    // Too long to be put by: those that wait are no longer than it, but they need it whole.
    let Ok(length) = skb.load_all(&mut scratch.frame.bytes) else { return Ok(()) };
    scratch.replaying = 1;
    let replayed = replay_each(skb, hook, now, &mut scratch.held_key);
    scratch.replaying = 0;
    skb.replace_all(&scratch.frame.bytes, length)?;
    replayed
}

#[inline(always)]
fn replay_each(skb: Skb, hook: Hook, now: u32, key: &mut HeldKey) -> Result<(), Reason> {
    let direction = if matches!(hook, Hook::FromPod | Hook::FromUplink) { u64::from(BPF_F_INGRESS) } else { 0 };
    let mut slot = 0;
    while slot < HELD_PER_DATAGRAM {
        key.slot = slot;
        slot += 1;
        // SAFETY: the kernel keeps an element it has returned readable until the program ends.
        if let Some(held) = unsafe { HELD.get(&*key) } {
            let fresh = !idle_longer_than(TIMEOUT, held.since, now);
            if fresh {
                skb.replace_all(&held.bytes, held.length)?;
                // SAFETY: the helper takes numbers only; no pointer into the packet is kept.
                done(unsafe { bpf_clone_redirect(skb.0, skb.ifindex(), direction) })?;
            }
            let _ = HELD.remove(&*key);
        }
    }
    Ok(())
}

const _: () = assert!(HELD_BYTES >= 1_514);
