//! Fragments: only the first of a datagram has ports, so it leaves them for the others.

use crate::flow::idle_longer_than;
use crate::nat::Hook;
use crate::packet::{Packet, Part};
use crate::service::ServiceTables;
use crate::tables::{Fragment, FragmentKey};

/// Seconds after which the other fragments of a datagram are not waited for: Linux' own (`ipfrag_time`).
pub const TIMEOUT: u32 = 30;

/// `FRAGMENTS`.
pub trait FragmentTables {
    /// What the first fragment said.
    fn fragment(&self, key: &FragmentKey) -> Option<Fragment>;
    /// Adds, or replaces what stands there. A full table forgets others.
    fn put_fragment(&self, key: &FragmentKey, fragment: &Fragment);
}

/// The datagram that a fragment is of, by what every fragment says.
#[inline(always)]
#[must_use]
pub const fn key(packet: &Packet) -> FragmentKey {
    FragmentKey { src: packet.key.src, dst: packet.key.dst, id: packet.fragment_id, protocol: packet.fragment_protocol }
}

/// Leaves the ports of a first fragment for the others: of every datagram, so that what is known of none came before its
/// first.
#[inline(always)]
pub fn note(tables: &impl FragmentTables, packet: &Packet, now: u32) {
    let fragment = Fragment {
        src_port: packet.key.src_port,
        dst_port: packet.key.dst_port,
        protocol: packet.key.protocol,
        last_seen: now,
    };
    tables.put_fragment(&key(packet), &fragment);
}

/// Gives a later fragment its datagram's ports. `false` when the first wasn't seen.
#[inline(always)]
#[must_use]
pub fn recall(tables: &impl FragmentTables, packet: &mut Packet, now: u32) -> bool {
    let Some(first) = tables.fragment(&key(packet)) else { return false };
    if idle_longer_than(TIMEOUT, first.last_seen, now) {
        return false;
    }
    packet.key.src_port = first.src_port;
    packet.key.dst_port = first.dst_port;
    packet.key.protocol = first.protocol;
    true
}

/// Whether a later fragment without a first is to wait for it here. It can't be told whose it is; but nobody can make
/// anything of it before the first has come, and that comes by here too: at a pod's own interface, and from outside if it
/// is for an address of ours. What the node sends itself it sends in order.
#[inline(always)]
#[must_use]
pub fn waits(tables: &impl ServiceTables, packet: &Packet, hook: Hook) -> bool {
    match (packet.part, hook) {
        (Part::Whole | Part::First, _) | (_, Hook::FromNode | Hook::FromNodeToPod) => false,
        (Part::Later, Hook::FromPod | Hook::ToPod) => true,
        (Part::Later, Hook::FromUplink) => tables.address(&packet.key.dst).is_some(),
    }
}
