//! Two pods behind interfaces, one of them policed, and an interface whose pod isn't known yet.

extern crate std;

use core::net::IpAddr;
use std::vec::Vec;

use super::*;
use crate::neighbour;
use crate::packet::{ETH_P_ARP, ETH_P_IPV6, Kind, Part};
use crate::plain::PlainTables;
use crate::tables::{Address, FlowKey, Identity, PodNetwork, address_flags, identity_flags};

const POD: u32 = 7;
const OTHER: u32 = 8;
const NEW: u32 = 9;
const OWN: [&str; 2] = ["10.244.1.20", "fd00:10:244:1::20"];
const OTHERS: [&str; 2] = ["10.244.1.21", "fd00:10:244:1::21"];
const NODE: [&str; 2] = ["192.0.2.11", "2001:db8:1::11"];
const SPOOFED: Result<(), Reason> = Err(Reason::SpoofedSource);

fn addr(text: &str) -> Addr {
    text.parse::<IpAddr>().unwrap().into()
}

/// With the sets that isolate the pod.
fn tables(ingress: u32, egress: u32) -> PlainTables {
    let mut tables = PlainTables::default();
    for (ifindex, [v4, v6]) in [(POD, OWN), (OTHER, OTHERS)] {
        let device = Device { pod_ipv4: addr(v4), pod_ipv6: addr(v6), ..Device::default() };
        tables.devices.insert(ifindex, device);
        for pod in [v4, v6] {
            let next = if ifindex == POD { Policing { class: 0, ingress, egress } } else { Policing::default() };
            let identity = Identity { flags: identity_flags::LOCAL, ifindex, next, ..Identity::default() };
            tables.identities.insert(addr(pod), identity);
        }
    }
    tables.devices.insert(NEW, Device::default());
    for node in NODE {
        tables.addresses.insert(addr(node), Address { flags: address_flags::NODE });
    }
    tables.pod_network =
        PodNetwork { ipv6: addr("fd00:10:244:1::"), ipv6_mask: addr("ffff:ffff:ffff:ffff::"), ..PodNetwork::default() };
    tables
}

fn packet(src: &str, dst: &str, ports: (u16, u16)) -> Packet {
    let key = FlowKey {
        src: addr(src),
        dst: addr(dst),
        src_port: Port::new(ports.0),
        dst_port: Port::new(ports.1),
        protocol: u32::from(protocol::UDP),
    };
    Packet {
        key,
        from: key.src,
        family: key.src.family(),
        kind: Kind::Transport,
        tcp_flags: 0,
        ttl: 64,
        checksum: 0,
        l3: 14,
        l4: 34,
        inner_l4: 0,
        part: Part::Whole,
        fragment_id: 0,
        fragment_protocol: 0,
    }
}

fn sent(ifindex: u32, src: &str) -> Result<(), Reason> {
    let dst = if src.contains(':') { "2001:db8::1" } else { "203.0.113.1" };
    check_source(&tables(0, 0), ifindex, &packet(src, dst, (1, 1)))
}

#[test]
fn a_pod_hands_no_packet_to_an_overlay_where_there_is_one() {
    let mut tables = tables(0, 0);
    let to = |port| packet(OWN[0], "203.0.113.1", (1, port));
    let inside = |protocol| {
        let mut packet = to(0);
        (packet.kind, packet.key.protocol) = (Kind::Other, protocol);
        packet
    };
    let overlays = [to(4789), to(8472), to(6081), inside(4), inside(41), inside(47)];
    for packet in &overlays {
        assert_eq!(check_encapsulation(&tables, packet), Ok(()), "no overlay");
    }
    tables.devices.insert(0, Device { flags: device_flags::OVERLAY, ..Device::default() });
    for packet in &overlays {
        assert_eq!(check_encapsulation(&tables, packet), Err(Reason::Encapsulated), "{:?}", packet.key);
    }
    let mut tcp = to(8472);
    tcp.key.protocol = u32::from(protocol::TCP);
    for packet in [to(53), inside(1), inside(58), tcp] {
        assert_eq!(check_encapsulation(&tables, &packet), Ok(()), "{:?}", packet.key);
    }
}

#[test]
fn a_known_pod_sends_under_its_own_addresses_only() {
    for own in OWN {
        assert_eq!(sent(POD, own), Ok(()));
    }
    let others = OTHERS.into_iter().chain(NODE);
    for other in others.chain(["203.0.113.7", "127.0.0.1", "0.0.0.0", "fe80::1", "::", "::1", "224.0.0.1"]) {
        assert_eq!(sent(POD, other), SPOOFED, "{other}");
    }
}

#[test]
fn a_pod_of_one_family_has_none_of_the_other() {
    let mut tables = tables(0, 0);
    tables.devices.insert(POD, Device { pod_ipv4: addr(OWN[0]), ..Device::default() });
    tables.identities.remove(&addr(OWN[1]));
    for other in [OWN[1], "::", "fe80::1"] {
        assert_eq!(check_source(&tables, POD, &packet(other, "2001:db8::1", (1, 1))), SPOOFED, "{other}");
    }
}

#[test]
fn behind_an_interface_whose_pod_is_not_known_may_be_anybody_but_the_others() {
    for anybody in ["10.244.1.30", "fd00:10:244:1::30", "0.0.0.0", "fe80::1"] {
        assert_eq!(sent(NEW, anybody), Ok(()), "{anybody}");
    }
    for other in OTHERS {
        assert_eq!(sent(NEW, other), SPOOFED);
    }
}

#[test]
fn the_source_of_an_icmp_error_is_the_one_in_its_own_header() {
    let forged = Packet { from: addr(NODE[0]), ..packet(OWN[0], "203.0.113.1", (1, 1)) };
    assert_eq!(check_source(&tables(0, 0), POD, &forged), SPOOFED);
}

#[test]
fn a_pod_without_an_address_asks_everybody_for_one_and_nothing_else() {
    let ask = |dst, ports| check_source(&tables(0, 0), POD, &packet("0.0.0.0", dst, ports));
    assert_eq!(ask("255.255.255.255", (68, 67)), Ok(()));
    assert_eq!(ask("203.0.113.1", (68, 67)), SPOOFED);
    assert_eq!(ask("255.255.255.255", (68, 53)), SPOOFED);
    assert_eq!(ask("255.255.255.255", (67, 68)), SPOOFED);
}

#[test]
fn what_is_not_ip_passes_only_where_no_policy_would_have_to_be_asked() {
    use Direction::{Egress, Ingress};
    let audited = 3 | Policing::AUDIT;
    let check = |sets: (u32, u32), ifindex, direction| check_unread(&tables(sets.0, sets.1), ifindex, direction);
    assert_eq!(check((3, 0), POD, Ingress), Err(Reason::Unjudgeable));
    assert_eq!(check((0, 3), POD, Egress), Err(Reason::Unjudgeable));
    for (sets, direction) in
        [((0, 3), Ingress), ((3, 0), Egress), ((audited, audited), Ingress), ((audited, audited), Egress)]
    {
        assert_eq!(check(sets, POD, direction), Ok(()), "{sets:?} {direction:?}");
    }
    assert_eq!((check((3, 3), NEW, Ingress), check((3, 3), 99, Egress)), (Ok(()), Ok(())));
}

fn arp(sender: &str) -> Vec<u8> {
    let IpAddr::V4(sender) = sender.parse().unwrap() else { unreachable!() };
    let head = [0, 1, 8, 0, 6, 4, 0, 2, 2, 2, 2, 2, 2, 2];
    [&head[..], &sender.octets(), &[0; 6], &[10, 244, 1, 1]].concat()
}

/// A message of neighbour discovery about `target`.
fn nd(kind: u8, src: &str, dst: &str, target: &str) -> Vec<u8> {
    let octets = |text: &str| {
        let IpAddr::V6(ip) = text.parse().unwrap() else { unreachable!() };
        ip.octets()
    };
    let ip = [0x60, 0, 0, 0, 0, 24, 58, 255];
    [&ip[..], &octets(src), &octets(dst), &[kind, 0, 0, 0, 0, 0, 0, 0], &octets(target)].concat()
}

fn told(tables: &PlainTables, ifindex: u32, message: &[u8]) -> Result<(), Reason> {
    let ethertype = if message[0] >> 4 == 6 { ETH_P_IPV6 } else { ETH_P_ARP };
    neighbour::parse(message, ethertype, 0)?.map_or(Ok(()), |claim| check_claim(tables, ifindex, &claim))
}

#[test]
fn a_pod_answers_its_neighbours_for_itself_alone() {
    let tables = tables(3, 3);
    let [own, group] = [OWN[1], "ff02::1"];
    for message in [
        arp(OWN[0]),
        arp("0.0.0.0"),
        nd(136, own, group, own),
        nd(136, "fe80::20", own, "fe80::20"),
        nd(135, "::", group, own),
        nd(135, own, OTHERS[1], NODE[1]),
        nd(135, own, NODE[1], NODE[1]),
        nd(133, "fe80::20", group, "::"),
    ] {
        assert_eq!(told(&tables, POD, &message), Ok(()), "{message:?}");
    }
    for lie in [
        arp(OTHERS[0]),
        arp(NODE[0]),
        arp("169.254.1.1"),
        nd(136, own, group, OTHERS[1]),
        nd(136, own, group, NODE[1]),
        nd(136, OTHERS[1], group, own),
        nd(135, NODE[1], group, own),
        nd(134, "fe80::20", group, "::"),
        nd(137, "fe80::20", own, own),
    ] {
        assert_eq!(told(&tables, POD, &lie), SPOOFED, "{lie:?}");
    }
}

#[test]
fn neighbours_whose_pod_is_not_known_yet_take_nobodys_place() {
    let tables = tables(0, 0);
    assert_eq!(told(&tables, NEW, &arp("10.244.1.30")), Ok(()));
    assert_eq!(told(&tables, NEW, &arp(OTHERS[0])), SPOOFED);
    assert_eq!(told(&tables, NEW, &nd(136, "fe80::1", "ff02::1", OTHERS[1])), SPOOFED);
}

#[test]
fn an_isolated_pod_speaks_as_a_neighbour_to_nobody_beyond_its_link() {
    let message = nd(136, OWN[1], "2001:db8:9::9", OWN[1]);
    assert_eq!(told(&tables(0, 3), POD, &message), Err(Reason::Unjudgeable));
    assert_eq!(told(&tables(3, 0), POD, &message), Ok(()));
}

#[test]
fn arp_that_is_cut_short_or_of_another_protocol_is_malformed() {
    let tables = tables(0, 0);
    assert_eq!(told(&tables, POD, &arp(OWN[0])[..27]), Err(Reason::Malformed));
    for at in 0..6 {
        let mut other = arp(OWN[0]);
        other[at] ^= 1;
        assert_eq!(told(&tables, POD, &other), Err(Reason::Malformed), "byte {at}");
    }
    let cut = nd(136, OWN[1], "ff02::1", OWN[1]);
    assert_eq!(told(&tables, POD, &cut[..60]), Err(Reason::Malformed));
}
