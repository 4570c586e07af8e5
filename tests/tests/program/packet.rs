//! Packets going in, and what is to be seen of those that come out.

use std::net::{IpAddr, SocketAddr};

use etherparse::{NetSlice, PacketBuilder, SlicedPacket, TransportSlice};

/// TCP flags as letters: `"S"`, `"SA"`, `"A"`, `"F"`, `"R"`.
pub(crate) fn tcp(src: &str, dst: &str, flags: &str) -> Vec<u8> {
    tcp_with(src, dst, flags, b"")
}

/// The same with a payload.
pub(crate) fn tcp_with(src: &str, dst: &str, flags: &str, payload: &[u8]) -> Vec<u8> {
    let (src, dst) = sockets(src, dst);
    let mut builder = ip(src.ip(), dst.ip(), 64).tcp(src.port(), dst.port(), 1_000, 64_000);
    for flag in flags.chars() {
        builder = match flag {
            'S' => builder.syn(),
            'A' => builder.ack(5_000),
            'F' => builder.fin(),
            'R' => builder.rst(),
            other => panic!("no flag {other}"),
        };
    }
    let mut bytes = Vec::new();
    builder.write(&mut bytes, payload).unwrap();
    bytes
}

/// A UDP datagram.
pub(crate) fn udp(src: &str, dst: &str, payload: &[u8]) -> Vec<u8> {
    udp_ttl(src, dst, payload, 64)
}

/// A UDP datagram with a time to live.
pub(crate) fn udp_ttl(src: &str, dst: &str, payload: &[u8], ttl: u8) -> Vec<u8> {
    let (src, dst) = sockets(src, dst);
    let mut bytes = Vec::new();
    ip(src.ip(), dst.ip(), ttl).udp(src.port(), dst.port()).write(&mut bytes, payload).unwrap();
    bytes
}

/// An SCTP packet of one chunk, whose verification tag is 0 in an INIT (type 1), which asks for [`ASKED_TAG`], else
/// [`TAG`].
pub(crate) fn sctp(src: &str, dst: &str, chunk: u8, payload: &[u8]) -> Vec<u8> {
    let (src, dst) = sockets(src, dst);
    let (tag, payload) =
        if chunk == 1 { (0, [&ASKED_TAG.to_be_bytes(), payload].concat()) } else { (TAG, payload.to_vec()) };
    let mut segment = [src.port().to_be_bytes(), dst.port().to_be_bytes()].concat();
    segment.extend(tag.to_be_bytes());
    segment.extend([0; 4]);
    segment.extend([chunk, 0]);
    segment.extend((4 + payload.len() as u16).to_be_bytes());
    segment.extend(payload);
    let checksum = crc32c::crc32c(&segment);
    segment[8..12].copy_from_slice(&checksum.to_le_bytes());
    let mut bytes = Vec::new();
    ip(src.ip(), dst.ip(), 64).write(&mut bytes, etherparse::IpNumber(132), &segment).unwrap();
    bytes
}

/// Verification tag of [`sctp`]'s packets, but an INIT's.
pub(crate) const TAG: u32 = 0x5eed_1234;
/// Tag that an INIT asks for.
pub(crate) const ASKED_TAG: u32 = 0xa5ed_4321;

/// An ICMP error from `src` to `dst` of a type, code and last word, quoting `about` (a whole frame).
pub(crate) fn icmp_error(src: &str, dst: &str, kind: u8, code: u8, rest: u32, about: &[u8]) -> Vec<u8> {
    let (src, dst): (IpAddr, IpAddr) = (src.parse().unwrap(), dst.parse().unwrap());
    let quoted = &about[14..about.len().min(14 + if src.is_ipv4() { 28 } else { 48 })];
    let mut bytes = Vec::new();
    let builder = ip(src, dst, 60);
    if src.is_ipv4() {
        builder.icmpv4_raw(kind, code, rest.to_be_bytes()).write(&mut bytes, quoted).unwrap();
    } else {
        builder.icmpv6_raw(kind, code, rest.to_be_bytes()).write(&mut bytes, quoted).unwrap();
    }
    bytes
}

/// An echo request, between the addresses of two sockets.
pub(crate) fn echo(src: &str, dst: &str) -> Vec<u8> {
    let (src, dst) = sockets(src, dst);
    let (mut bytes, builder) = (Vec::new(), ip(src.ip(), dst.ip(), 64));
    if src.is_ipv4() {
        builder.icmpv4_echo_request(7, 1).write(&mut bytes, b"ping").unwrap();
    } else {
        builder.icmpv6_echo_request(7, 1).write(&mut bytes, b"ping").unwrap();
    }
    bytes
}

fn sockets(src: &str, dst: &str) -> (SocketAddr, SocketAddr) {
    (src.parse().unwrap(), dst.parse().unwrap())
}

fn ip(src: IpAddr, dst: IpAddr, ttl: u8) -> etherparse::PacketBuilderStep<etherparse::IpHeaders> {
    // A test run's packets come in by the loopback interface, whose address is zero: this is meant for the node.
    let ethernet = PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [0; 6]);
    match (src, dst) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => ethernet.ipv4(src.octets(), dst.octets(), ttl),
        (IpAddr::V6(src), IpAddr::V6(dst)) => ethernet.ipv6(src.octets(), dst.octets(), ttl),
        _ => panic!("one family"),
    }
}

/// A frame's IP packet cut into fragments of at most `payload` bytes (a multiple of eight) behind their IP header.
pub(crate) fn fragments(frame: &[u8], id: u16, payload: usize) -> Vec<Vec<u8>> {
    lab::fragments::cut(&frame[14..], id, payload).iter().map(|packet| [&frame[..14], packet].concat()).collect()
}

/// The frame that [`fragments`] were made of, with what became of their addresses.
pub(crate) fn whole(fragments: &[Vec<u8>]) -> Vec<u8> {
    let v4 = fragments[0][14] >> 4 == 4;
    let header = if v4 { 20 } else { 48 };
    let addresses = |frame: &[u8]| if v4 { frame[26..34].to_vec() } else { frame[22..54].to_vec() };
    for fragment in fragments {
        assert_eq!(addresses(fragment), addresses(&fragments[0]), "all go the same way");
    }
    let body: Vec<u8> = fragments.iter().flat_map(|fragment| fragment[14 + header..].to_vec()).collect();
    let mut ip = fragments[0][14..14 + header].to_vec();
    if v4 {
        ip[2..4].copy_from_slice(&(20 + body.len() as u16).to_be_bytes());
        ip[6..8].fill(0);
        let checksum = etherparse::Ipv4Header::from_slice(&ip).unwrap().0.calc_header_checksum();
        ip[10..12].copy_from_slice(&checksum.to_be_bytes());
    } else {
        ip[4..6].copy_from_slice(&(body.len() as u16).to_be_bytes());
        ip[6] = ip[40];
        ip.truncate(40);
    }
    [&fragments[0][..14], &ip, &body].concat()
}

/// A packet as its receiver sees it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) src: String,
    pub(crate) dst: String,
    pub(crate) ttl: u8,
    pub(crate) what: What,
}

/// What a packet carries.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum What {
    Tcp {
        flags: String,
        sequence: u32,
        acknowledgement: u32,
    },
    Udp {
        payload: Vec<u8>,
    },
    /// Type and flags of the first chunk, verification tag, and what follows the chunk's header.
    Sctp {
        chunk: u8,
        flags: u8,
        tag: u32,
        payload: Vec<u8>,
    },
    /// Type, code, last word, and source and destination of the quoted packet.
    Icmp {
        kind: u8,
        code: u8,
        rest: u32,
        src: String,
        dst: String,
    },
}

/// Reads a frame and insists that every checksum in it is right.
pub(crate) fn see(frame: &[u8]) -> Seen {
    let packet = SlicedPacket::from_ethernet(frame).unwrap();
    let (src, dst, ttl) = addresses(&packet);
    let Some(transport) = packet.transport.as_ref() else { return see_sctp(&packet, src, dst, ttl) };
    let (what, ports) = match transport {
        TransportSlice::Tcp(tcp) => {
            let header = tcp.to_header();
            let sum = match packet.net.as_ref().unwrap() {
                NetSlice::Ipv4(ip) => header.calc_checksum_ipv4(&ip.header().to_header(), tcp.payload()),
                NetSlice::Ipv6(ip) => header.calc_checksum_ipv6(&ip.header().to_header(), tcp.payload()),
                NetSlice::Arp(_) => unreachable!(),
            };
            assert_eq!(header.checksum, sum.unwrap(), "TCP checksum");
            let letters = [(header.syn, 'S'), (header.ack, 'A'), (header.fin, 'F'), (header.rst, 'R')];
            let flags = letters.into_iter().filter_map(|(set, letter)| set.then_some(letter)).collect();
            let (sequence, acknowledgement) = (header.sequence_number, header.acknowledgment_number);
            (What::Tcp { flags, sequence, acknowledgement }, Some((header.source_port, header.destination_port)))
        }
        TransportSlice::Udp(udp) => {
            let header = udp.to_header();
            let sum = match packet.net.as_ref().unwrap() {
                NetSlice::Ipv4(ip) => header.calc_checksum_ipv4(&ip.header().to_header(), udp.payload()),
                NetSlice::Ipv6(ip) => header.calc_checksum_ipv6(&ip.header().to_header(), udp.payload()),
                NetSlice::Arp(_) => unreachable!(),
            };
            assert!(header.checksum == sum.unwrap() || header.checksum == 0, "UDP checksum");
            (What::Udp { payload: udp.payload().to_vec() }, Some((header.source_port, header.destination_port)))
        }
        TransportSlice::Igmp(_) => panic!("IGMP"),
        TransportSlice::Icmpv4(icmp) => {
            let header = icmp.header();
            let sum = header.icmp_type.calc_checksum(icmp.payload());
            assert_eq!(header.checksum, sum, "ICMP checksum");
            (icmp_what(icmp.slice()), None)
        }
        TransportSlice::Icmpv6(icmp) => {
            let NetSlice::Ipv6(ip) = packet.net.as_ref().unwrap() else { unreachable!() };
            let (src, dst) = (ip.header().source(), ip.header().destination());
            let sum = icmp.header().icmp_type.calc_checksum(src, dst, icmp.payload()).unwrap();
            assert_eq!(icmp.header().checksum, sum, "ICMPv6 checksum");
            (icmp_what(icmp.slice()), None)
        }
    };
    let (src, dst) = match ports {
        Some((from, to)) => (SocketAddr::new(src, from).to_string(), SocketAddr::new(dst, to).to_string()),
        None => (src.to_string(), dst.to_string()),
    };
    Seen { src, dst, ttl, what }
}

fn see_sctp(packet: &SlicedPacket<'_>, src: IpAddr, dst: IpAddr, ttl: u8) -> Seen {
    let payload = packet.ip_payload().unwrap();
    assert_eq!(payload.ip_number.0, 132, "neither TCP, UDP, ICMP nor SCTP");
    let segment = payload.payload;
    let word = |at: usize| u32::from_be_bytes(segment[at..at + 4].try_into().unwrap());
    let sum = crc32c::crc32c_append(crc32c::crc32c(&[&segment[..8], &[0; 4]].concat()), &segment[12..]);
    assert_eq!(word(8), sum.swap_bytes(), "SCTP checksum");
    let what = What::Sctp { chunk: segment[12], flags: segment[13], tag: word(4), payload: segment[16..].to_vec() };
    let end = |ip: IpAddr, port: u32| SocketAddr::new(ip, port as u16).to_string();
    Seen { src: end(src, word(0) >> 16), dst: end(dst, word(0) & 0xffff), ttl, what }
}

fn addresses(packet: &SlicedPacket<'_>) -> (IpAddr, IpAddr, u8) {
    match packet.net.as_ref().unwrap() {
        NetSlice::Ipv4(ip) => {
            let header = ip.header();
            assert_eq!(header.header_checksum(), header.to_header().calc_header_checksum(), "IPv4 header checksum");
            (header.source_addr().into(), header.destination_addr().into(), header.ttl())
        }
        NetSlice::Ipv6(ip) => {
            (ip.header().source_addr().into(), ip.header().destination_addr().into(), ip.header().hop_limit())
        }
        NetSlice::Arp(_) => unreachable!(),
    }
}

fn icmp_what(message: &[u8]) -> What {
    let quoted = &message[8..];
    let header_length = if quoted[0] >> 4 == 4 { 20 } else { 40 };
    let address = |from: usize, length: usize| -> IpAddr {
        let bytes = &quoted[from..from + length];
        if length == 4 {
            <[u8; 4]>::try_from(bytes).unwrap().into()
        } else {
            <[u8; 16]>::try_from(bytes).unwrap().into()
        }
    };
    let (src, dst) = if header_length == 20 {
        let header = etherparse::Ipv4Header::from_slice(quoted).unwrap().0;
        assert_eq!(header.header_checksum, header.calc_header_checksum(), "quoted IPv4 header checksum");
        (address(12, 4), address(16, 4))
    } else {
        (address(8, 16), address(24, 16))
    };
    let port = |at: usize| u16::from_be_bytes([quoted[header_length + at], quoted[header_length + at + 1]]);
    What::Icmp {
        kind: message[0],
        code: message[1],
        rest: u32::from_be_bytes([message[4], message[5], message[6], message[7]]),
        src: SocketAddr::new(src, port(0)).to_string(),
        dst: SocketAddr::new(dst, port(2)).to_string(),
    }
}
