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
        (Part::Whole | Part::First, _) | (_, Hook::FromNode | Hook::FromNodeToPod | Hook::Passing) => false,
        (Part::Later, Hook::FromPod | Hook::ToPod | Hook::JudgedToPod) => true,
        (Part::Later, Hook::FromUplink) => tables.address(&packet.key.dst).is_some(),
    }
}

#[cfg(test)]
mod tests {
    use core::net::IpAddr;

    use super::*;
    use crate::addr::{Addr, Family, Port, protocol};
    use crate::packet::Kind;
    use crate::plain::PlainTables;
    use crate::tables::{Address, FlowKey, address_flags};

    const NOW: u32 = 1_000;
    const NODE: &str = "192.0.2.11";

    fn addr(text: &str) -> Addr {
        text.parse::<IpAddr>().unwrap().into()
    }

    fn packet(part: Part, dst: &str) -> Packet {
        let known = |number| if matches!(part, Part::First) { Port::new(number) } else { Port::default() };
        Packet {
            key: FlowKey {
                src: addr("198.51.100.10"),
                dst: addr(dst),
                src_port: known(40_000),
                dst_port: known(53),
                protocol: u32::from(protocol::UDP),
            },
            from: addr("198.51.100.10"),
            family: Family::V4,
            kind: if matches!(part, Part::First) { Kind::Transport } else { Kind::Fragment },
            tcp_flags: 0,
            ttl: 64,
            checksum: 0,
            l3: 14,
            l4: 34,
            inner_l4: 0,
            part,
            fragment_id: 7,
            fragment_protocol: u32::from(protocol::UDP),
        }
    }

    #[test]
    fn a_later_fragment_gets_the_ports_of_its_first() {
        let tables = PlainTables::default();
        let first = packet(Part::First, NODE);
        note(&tables, &first, NOW);
        let mut later = packet(Part::Later, NODE);
        assert!(recall(&tables, &mut later, NOW));
        assert_eq!(later.key, first.key);
    }

    #[test]
    fn another_datagrams_ports_are_not_taken() {
        let tables = PlainTables::default();
        note(&tables, &packet(Part::First, NODE), NOW);
        for other in [
            packet(Part::Later, "192.0.2.12"),
            Packet { fragment_id: 8, ..packet(Part::Later, NODE) },
            Packet { fragment_protocol: u32::from(protocol::TCP), ..packet(Part::Later, NODE) },
        ] {
            assert!(!recall(&tables, &mut { other }, NOW));
        }
    }

    #[test]
    fn a_number_that_comes_round_again_means_another_datagram() {
        let tables = PlainTables::default();
        note(&tables, &packet(Part::First, NODE), NOW);
        assert!(recall(&tables, &mut packet(Part::Later, NODE), NOW + TIMEOUT));
        assert!(!recall(&tables, &mut packet(Part::Later, NODE), NOW + TIMEOUT + 1));
    }

    #[test]
    fn only_a_later_fragment_waits_and_only_where_its_first_comes_by() {
        let mut tables = PlainTables::default();
        tables.addresses.insert(addr(NODE), Address { flags: address_flags::NODE });
        let later = |dst| packet(Part::Later, dst);
        for hook in [Hook::FromPod, Hook::ToPod] {
            assert!(waits(&tables, &later("203.0.113.1"), hook));
        }
        assert!(waits(&tables, &later(NODE), Hook::FromUplink));
        assert!(!waits(&tables, &later("203.0.113.1"), Hook::FromUplink));
        assert!(!waits(&tables, &later(NODE), Hook::FromNode) && !waits(&tables, &later(NODE), Hook::FromNodeToPod));
        assert!(!waits(&tables, &packet(Part::First, NODE), Hook::FromPod));
    }
}
