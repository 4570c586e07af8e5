//! What is read of packets that another library makes.

extern crate std;

use core::net::IpAddr;
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
    let mut packet = MaybeUninit::uninit();
    parse(bytes, u16::from_ne_bytes([bytes[12], bytes[13]]), L3, &mut packet).map(Option::<&Packet>::copied)
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

fn tcp_v6() -> Vec<u8> {
    v6(|ip, bytes| ip.tcp(40_000, 53, 1, 1).syn().write(bytes, &[0; 40]).unwrap())
}

/// An ICMP message that quotes nothing.
fn icmp(kind: u8) -> Vec<u8> {
    v4(|ip, bytes| ip.icmpv4_raw(kind, 0, [0; 4]).write(bytes, &[0; 40]).unwrap())
}

fn icmp6(kind: u8, hop_limit: u8) -> Vec<u8> {
    let mut bytes = v6(|ip, bytes| ip.icmpv6_raw(kind, 0, [0; 4]).write(bytes, &[0; 40]).unwrap());
    bytes[21] = hop_limit;
    bytes
}

/// To all nodes of the link.
fn to_group(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes[38..40].copy_from_slice(&[0xff, 2]);
    bytes
}

fn addr(octets: [u8; 4]) -> Addr {
    IpAddr::from(octets).into()
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
fn questions_are_packets_of_their_addresses() {
    let gre = v4(|ip, out| ip.write(out, IpNumber::GRE, &[0; 8]).unwrap());
    for question in [icmp(8), icmp(0), icmp6(128, 64), icmp6(129, 64), gre] {
        let packet = read(&question).unwrap().unwrap();
        assert_eq!((packet.kind, packet.opens()), (Kind::Other, false));
    }
}

#[test]
fn what_neighbours_say_to_each_other_is_nobody_elses_affair_and_is_that_only_on_the_link() {
    for kind in 133..=137 {
        assert_eq!(read(&icmp6(kind, 255)), Ok(None), "{kind}");
        assert_eq!(read(&icmp6(kind, 254)).unwrap().unwrap().kind, Kind::Other, "{kind}: a router let it pass");
    }
    for kind in [130, 131, 132, 143] {
        assert_eq!(read(&to_group(icmp6(kind, 1))), Ok(None), "{kind}");
        for elsewhere in [icmp6(kind, 1), to_group(icmp6(kind, 2))] {
            assert_eq!(read(&elsewhere).unwrap().unwrap().kind, Kind::Other, "{kind}");
        }
    }
    let cut = fragment_v6(icmp6(135, 255), 1);
    assert!(read(&cut).unwrap().is_some(), "neighbour discovery is never cut (RFC 6980)");
}

#[test]
fn an_error_is_a_packet_of_the_flow_that_it_is_about() {
    let about = |ip: Vec<u8>| v4(|step, out| step.icmpv4_raw(3, 1, [0; 4]).write(out, &ip).unwrap());
    let turned = |bytes: Vec<u8>| [&bytes[14..26], &[10, 0, 0, 2, 10, 0, 0, 1], &bytes[34..]].concat();
    let packet = read(&about(turned(udp()))).unwrap().unwrap();
    assert_eq!((packet.kind, packet.inner_l4, packet.from), (Kind::IcmpError, 62, addr([10, 0, 0, 1])));
    let sent = FlowKey { src: addr([10, 0, 0, 2]), dst: addr([10, 0, 0, 1]), ..read(&udp()).unwrap().unwrap().key };
    assert_eq!(packet.key, sent.reversed());

    let ping = read(&about(turned(icmp(8)))).unwrap().unwrap();
    assert_eq!((ping.kind, ping.inner_l4), (Kind::IcmpError, 62));
    assert_eq!((ping.key.protocol, ping.key.src_port, ping.key.dst_port), (1, Port::default(), Port::default()));
}

#[test]
fn an_error_that_quotes_nothing_of_its_receivers_is_known_by_its_own_addresses() {
    let v4_error = |kind, quote: &[u8]| v4(|step, out| step.icmpv4_raw(kind, 0, [0; 4]).write(out, quote).unwrap());
    let for_another = udp()[14..].to_vec();
    let mut later = for_another.clone();
    later[12..20].copy_from_slice(&[10, 0, 0, 2, 10, 0, 0, 1]);
    later[7] = 9;
    let cut = [&later[..6], &[0, 0], &later[8..22]].concat();
    let quotes = [for_another.as_slice(), &later, &cut, &[0; 40], b""];
    let errors = quotes.into_iter().map(|quote| v4_error(3, quote));
    for error in errors.chain([icmp(4), icmp(5), icmp6(1, 64)]) {
        let packet = read(&error).unwrap().unwrap();
        assert_eq!((packet.kind, packet.inner_l4, packet.key.src), (Kind::IcmpError, 0, packet.from));
        assert!(matches!(packet.key.protocol as u8, protocol::ICMP | protocol::ICMPV6));
        assert_eq!((packet.key.src_port, packet.key.dst_port), (Port::default(), Port::default()));
    }
}

#[test]
fn a_fragment_that_could_change_a_transport_header_is_malformed() {
    let tcp = || v4(|ip, bytes| ip.tcp(40_000, 53, 1, 1).syn().write(bytes, &[0; 40]).unwrap());
    for (offset, over) in [(1, true), (2, true), (3, false)] {
        assert_eq!(read(&fragment(tcp(), offset)) == Err(Reason::Malformed), over, "offset {offset}");
    }
    // Headers that the frame holds and its IP packet doesn't.
    for (bytes, at, length) in
        [(tcp(), 16, 20 + 16), (udp(), 16, 20 + 7), (tcp_v6(), 18, 19), (fragment_v6(tcp_v6(), 1), 18, 8 + 19)]
    {
        let mut short = bytes;
        short[at..at + 2].copy_from_slice(&u16::to_be_bytes(length));
        assert_eq!(read(&short), Err(Reason::Malformed));
        short[at..at + 2].copy_from_slice(&u16::to_be_bytes(length + 4));
        assert!(read(&short).is_ok(), "the whole header and nothing else");
    }
}

#[test]
fn a_packet_longer_than_its_length_field_says_nothing_of_its_end() {
    let mut large = tcp_v6();
    large[18..20].fill(0);
    assert_eq!(read(&large).unwrap().unwrap().kind, Kind::Transport);
}

/// With extension headers of these numbers, eight bytes each, before what it carries.
fn extended(numbers: &[u8], mut bytes: Vec<u8>) -> Vec<u8> {
    for number in numbers.iter().rev() {
        let next = core::mem::replace(&mut bytes[20], *number);
        let length = u8::from(*number == 51);
        bytes.splice(
            54..54,
            [next, length, 0, 0, 0, 0, 0, 0].into_iter().chain(core::iter::repeat_n(0, 4 * usize::from(length))),
        );
    }
    let payload = (bytes.len() - 54) as u16;
    bytes[18..20].copy_from_slice(&payload.to_be_bytes());
    bytes
}

#[test]
fn a_transport_is_found_behind_every_honest_chain_of_extension_headers() {
    for chain in [&[0][..], &[60], &[43], &[44], &[51], &[0, 60, 43, 44, 51, 60], &[60; 7]] {
        let packet = read(&extended(chain, udp_v6())).unwrap().unwrap();
        assert_eq!((packet.kind, packet.key.dst_port), (Kind::Transport, Port::new(53)), "{chain:?}");
    }
}

#[test]
fn what_is_behind_other_chains_is_never_taken_for_a_transport() {
    for (chain, number) in
        [(&[60; 8][..], 60), (&[50], 50), (&[59], 59), (&[135], 135), (&[60, 60, 60, 60, 60, 60, 60, 44], 44)]
    {
        let packet = read(&extended(chain, udp_v6())).unwrap().unwrap();
        assert_eq!((packet.kind, packet.key.protocol), (Kind::Other, number), "{chain:?}");
    }
    for chain in [&[60, 0][..], &[0, 0], &[44, 44], &[44, 60, 44]] {
        assert_eq!(read(&extended(chain, udp_v6())), Err(Reason::Malformed), "{chain:?}");
    }
}
