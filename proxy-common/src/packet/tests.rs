//! What is read of packets that another library makes.

extern crate std;

use std::vec;
use std::vec::Vec;

use etherparse::{IpNumber, PacketBuilder};

use super::*;
use crate::wire::Tcp;

const L3: u32 = 14;

fn v4(write: impl FnOnce(etherparse::PacketBuilderStep<etherparse::IpHeaders>, &mut Vec<u8>)) -> Vec<u8> {
    let mut bytes = Vec::new();
    write(PacketBuilder::ethernet2([2; 6], [2; 6]).ipv4([10, 0, 0, 1], [10, 0, 0, 2], 9), &mut bytes);
    bytes
}

fn v6(write: impl FnOnce(etherparse::PacketBuilderStep<etherparse::IpHeaders>, &mut Vec<u8>)) -> Vec<u8> {
    let mut bytes = Vec::new();
    let (src, dst) = ([0xfd; 16], [0xfe; 16]);
    write(PacketBuilder::ethernet2([2; 6], [2; 6]).ipv6(src, dst, 9), &mut bytes);
    bytes
}

fn read(bytes: &[u8]) -> Result<Option<Packet>, Reason> {
    parse(bytes, u16::from_ne_bytes([bytes[12], bytes[13]]), L3)
}

/// With flags and offset in an IPv4 header.
fn fragment(mut bytes: Vec<u8>, field: u16) -> Vec<u8> {
    bytes[18..20].copy_from_slice(&7_u16.to_be_bytes());
    bytes[20..22].copy_from_slice(&field.to_be_bytes());
    bytes
}

/// With a fragment header behind the IPv6 header.
fn fragment_v6(mut bytes: Vec<u8>, field: u16) -> Vec<u8> {
    let next = core::mem::replace(&mut bytes[20], 44);
    let [high, low] = field.to_be_bytes();
    bytes.splice(54..54, [next, 0, high, low, 0, 0, 0, 7]);
    bytes
}

fn udp() -> Vec<u8> {
    v4(|ip, bytes| ip.udp(40_000, 53).write(bytes, &[0; 32]).unwrap())
}

fn udp_v6() -> Vec<u8> {
    v6(|ip, bytes| ip.udp(40_000, 53).write(bytes, &[0; 32]).unwrap())
}

#[test]
fn ports_are_read_of_every_transport() {
    let tcp = v4(|ip, bytes| ip.tcp(40_000, 53, 1, 1).syn().write(bytes, b"").unwrap());
    let init = [&[0x9c, 0x40, 0, 53][..], &[0; 8], &[1, 0, 0, 4]].concat();
    let sctp = v4(|ip, bytes| ip.write(bytes, IpNumber::SCTP, &init).unwrap());
    for (bytes, flags) in [(tcp, Tcp::SYN), (sctp, Tcp::SYN), (udp(), 0), (udp_v6(), 0)] {
        let packet = read(&bytes).unwrap().unwrap();
        assert_eq!((packet.key.src_port, packet.key.dst_port), (Port::new(40_000), Port::new(53)));
        assert_eq!((packet.kind, packet.tcp_flags, packet.part), (Kind::Transport, flags, Part::Whole));
        assert!(packet.opens());
    }
}

#[test]
fn a_first_fragment_has_ports_and_a_later_one_has_none() {
    let cases = [
        (fragment(udp(), 0x2000), Part::First),
        (fragment(udp(), 0x2001), Part::Later),
        (fragment(udp(), 0x0001), Part::Later),
        (fragment_v6(udp_v6(), 1), Part::First),
        (fragment_v6(udp_v6(), 9), Part::Later),
        (fragment_v6(udp_v6(), 8), Part::Later),
    ];
    for (bytes, part) in cases {
        let packet = read(&bytes).unwrap().unwrap();
        let (kind, port) = if part == Part::First { (Kind::Transport, 53) } else { (Kind::Fragment, 0) };
        assert_eq!((packet.part, packet.kind, packet.key.dst_port), (part, kind, Port::new(port)));
        assert_eq!(packet.opens(), part == Part::First);
    }
}

#[test]
fn all_fragments_of_a_datagram_have_one_key() {
    let families =
        [(fragment(udp(), 0x2000), fragment(udp(), 0x0100)), (fragment_v6(udp_v6(), 1), fragment_v6(udp_v6(), 0x100))];
    for (first, last) in families {
        let [first, last] = [first, last].map(|bytes| crate::fragment::key(&read(&bytes).unwrap().unwrap()));
        assert_eq!(first, last);
        assert_ne!(first.id, 0);
    }
}

#[test]
fn an_error_in_fragments_is_known_by_its_own_addresses_and_not_by_those_it_quotes() {
    let quoted = udp()[14..].to_vec();
    let error = v4(|ip, bytes| ip.icmpv4_raw(3, 1, [0; 4]).write(bytes, &quoted).unwrap());
    assert_eq!(read(&error).unwrap().unwrap().kind, Kind::IcmpError);
    let [first, last] = [0x2000, 0x0100].map(|field| read(&fragment(error.clone(), field)).unwrap().unwrap());
    assert_eq!((first.kind, first.key.src_port), (Kind::Fragment, Port::default()));
    assert_eq!(crate::fragment::key(&first), crate::fragment::key(&last));
}

#[test]
fn whole_datagrams_in_a_fragment_header_are_whole() {
    let packet = read(&fragment_v6(udp_v6(), 0)).unwrap().unwrap();
    assert_eq!((packet.part, packet.kind), (Part::Whole, Kind::Transport));
}

#[test]
fn a_transport_header_that_is_cut_short_is_malformed() {
    let headers = [(IpNumber::TCP, 16), (IpNumber::UDP, 7), (IpNumber::SCTP, 15)];
    for (number, length) in headers {
        let bytes = v4(|ip, bytes| ip.write(bytes, number, &vec![0; length]).unwrap());
        assert_eq!(read(&bytes), Err(Reason::Malformed), "{number:?}");
        let bytes = fragment(bytes, 0x2000);
        assert_eq!(read(&bytes), Err(Reason::Malformed), "{number:?}");
    }
}

#[test]
fn questions_are_packets_of_their_addresses_and_reports_about_nothing_of_ours_are_left_alone() {
    let icmp = |kind: u8| v4(move |ip, bytes| ip.icmpv4_raw(kind, 0, [0; 4]).write(bytes, &[0; 40]).unwrap());
    let icmp6 = |kind: u8| v6(move |ip, bytes| ip.icmpv6_raw(kind, 0, [0; 4]).write(bytes, &[0; 40]).unwrap());
    for question in
        [icmp(8), icmp(0), icmp6(128), icmp6(129), v4(|ip, out| ip.write(out, IpNumber::GRE, &[0; 8]).unwrap())]
    {
        let packet = read(&question).unwrap().unwrap();
        assert_eq!((packet.kind, packet.opens()), (Kind::Other, false));
    }
    // Redirects, reports that quote nothing, neighbour discovery.
    for left in [icmp(3), icmp(5), icmp6(1), icmp6(133), icmp6(135), icmp6(136), icmp6(137)] {
        assert_eq!(read(&left), Ok(None));
    }
}
