//! What a pod might send to get past its policies.

use proxy_common::drop::Reason;
use proxy_common::tables::{self, Device, Identity, PodNetwork, Policing, device_flags, identity_flags};

use crate::bench::{Bench, Verdict, ip};
use crate::packet::{echo, icmp_error, tcp, udp};

/// In each family: a pod, its neighbour on this node, the node, and somebody outside.
const FAMILIES: [[&str; 4]; 2] = [
    ["10.244.1.20", "10.244.1.21", "192.0.2.11", "198.51.100.10"],
    ["fd00:10:244:1::20", "fd00:10:244:1::21", "2001:db8:1::11", "2001:db8:2::10"],
];

/// A test run's packets come in by the loopback interface.
const INTERFACE: u32 = 1;
/// Of the neighbour's.
const OTHER: u32 = 99;

/// A node with the pod of [`isolate`].
fn bench(ingress: u32, egress: u32) -> Bench {
    let mut bench = Bench::new();
    isolate(&mut bench, ingress, egress);
    bench
}

/// Puts the pod behind the interface of a test run, isolated by these sets without a rule.
pub(crate) fn isolate(bench: &mut Bench, ingress: u32, egress: u32) {
    let [v4, v6] = FAMILIES;
    let device = Device { pod_ipv4: ip(v4[0]), pod_ipv6: ip(v6[0]), flags: device_flags::POD, ..Device::default() };
    bench.put(tables::DEVICES, INTERFACE, device);
    for names in FAMILIES {
        for (pod, ifindex, next) in
            [(names[0], INTERFACE, Policing { class: 0, ingress, egress }), (names[1], OTHER, Policing::default())]
        {
            let identity = Identity { flags: identity_flags::LOCAL, ifindex, next, ..Identity::default() };
            bench.put(tables::IDENTITIES, ip(pod), identity);
        }
    }
    let flags = if ingress | egress == 0 { 0 } else { tables::pod_network_flags::POLICED };
    bench.set(tables::POD_NETWORK.name, PodNetwork { flags, ..PodNetwork::default() });
}

fn at(addr: &str, port: u16) -> String {
    if addr.contains(':') { format!("[{addr}]:{port}") } else { format!("{addr}:{port}") }
}

fn dropped(bench: &mut Bench, program: &str, frame: &[u8], reason: Reason) -> bool {
    let before = bench.drops(reason);
    let (verdict, _) = bench.run(program, frame);
    let counted = bench.drops(reason) - before;
    assert_eq!(u64::from(verdict == Verdict::Drop), counted, "{verdict:?}, and counted {counted} for {reason:?}");
    counted == 1
}

fn passes(bench: &mut Bench, program: &str, frame: &[u8]) -> bool {
    bench.run(program, frame) == (Verdict::Next, frame.to_vec())
}

#[test]
fn a_pod_hands_no_packet_to_the_overlay_of_the_nodes() {
    const VXLAN: u16 = 8472;
    let mut bench = bench(0, 0);
    let frames = FAMILIES.map(|[own, _, node, _]| udp(&at(own, 40_000), &at(node, VXLAN), b"a packet"));
    for frame in &frames {
        assert!(passes(&mut bench, "from_pod", frame), "there is no overlay");
    }
    bench.put(tables::DEVICES, 0, Device { flags: device_flags::OVERLAY, ..Device::default() });
    for frame in &frames {
        assert!(dropped(&mut bench, "from_pod", frame, Reason::Encapsulated));
        assert!(passes(&mut bench, "to_uplink", frame), "the nodes do");
    }
}

#[test]
fn a_pod_sends_under_no_address_but_its_own() {
    let mut bench = bench(0, 0);
    for ([own, other, node, outside], none, link) in
        [(FAMILIES[0], "0.0.0.0", "169.254.1.1"), (FAMILIES[1], "::", "fe80::1")]
    {
        let to = at(outside, 53);
        assert!(passes(&mut bench, "from_pod", &udp(&at(own, 1), &to, b"?")));
        for lie in [other, node, outside, none, link] {
            for frame in [udp(&at(lie, 1), &to, b"?"), tcp(&at(lie, 1), &to, "S"), echo(&at(lie, 1), &to)] {
                assert!(dropped(&mut bench, "from_pod", &frame, Reason::SpoofedSource), "{lie}");
            }
        }
        // Nor in the header of an error, whatever that quotes.
        let about = udp(&to, &at(own, 1), b"?");
        let (kind, code) = if own.contains(':') { (1, 4) } else { (3, 3) };
        assert!(passes(&mut bench, "from_pod", &icmp_error(own, outside, kind, code, 0, &about)));
        let error = icmp_error(other, outside, kind, code, 0, &about);
        assert!(dropped(&mut bench, "from_pod", &error, Reason::SpoofedSource));
    }
}

#[test]
fn an_unbound_interface_takes_no_known_pods_address() {
    let mut bench = bench(0, 0);
    bench.put(tables::DEVICES, INTERFACE, Device::default());
    for [_, other, _, outside] in FAMILIES {
        let new = if other.contains(':') { "fd00:10:244:1::77" } else { "10.244.1.77" };
        assert!(passes(&mut bench, "from_pod", &udp(&at(new, 1), &at(outside, 53), b"?")));
        let lie = udp(&at(other, 1), &at(outside, 53), b"?");
        assert!(dropped(&mut bench, "from_pod", &lie, Reason::SpoofedSource));
    }
}

#[test]
fn a_pod_without_an_address_may_ask_for_one() {
    let mut bench = bench(0, 3);
    assert!(passes(&mut bench, "from_pod", &udp("0.0.0.0:68", "255.255.255.255:67", b"discover")));
    assert!(dropped(
        &mut bench,
        "from_pod",
        &udp("0.0.0.0:68", "198.51.100.10:67", b"discover"),
        Reason::SpoofedSource
    ));
}

fn arp(sender: &str) -> Vec<u8> {
    let std::net::IpAddr::V4(sender) = sender.parse().unwrap() else { panic!("IPv4") };
    let head = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 1, 8, 6, 0, 1, 8, 0, 6, 4, 0, 2, 2, 0, 0, 0, 0, 1];
    [&head[..], &sender.octets(), &[0; 6], &[10, 244, 1, 1]].concat()
}

/// Neighbour discovery, from an address and about one.
fn neighbour(kind: u8, src: &str, target: &str) -> Vec<u8> {
    let octets = |text: &str| {
        let std::net::IpAddr::V6(ip) = text.parse().unwrap() else { panic!("IPv6") };
        ip.octets()
    };
    let link = [2, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0x86, 0xdd];
    let header = [0x60, 0, 0, 0, 0, 24, 58, 255];
    [&link[..], &header, &octets(src), &octets("ff02::1"), &[kind, 0, 0, 0, 0, 0, 0, 0], &octets(target)].concat()
}

#[test]
fn a_pod_takes_nobodys_place_on_the_link() {
    let mut bench = bench(3, 3);
    let [[own4, other4, node4, _], [own6, other6, node6, _]] = FAMILIES;
    for honest in [
        arp(own4),
        arp("0.0.0.0"),
        neighbour(136, own6, own6),
        neighbour(136, "fe80::20", own6),
        neighbour(135, "::", own6),
        neighbour(135, own6, node6),
    ] {
        assert!(passes(&mut bench, "from_pod", &honest));
        assert!(passes(&mut bench, "to_pod", &honest));
    }
    for lie in [
        arp(other4),
        arp(node4),
        neighbour(136, own6, other6),
        neighbour(136, own6, node6),
        neighbour(135, other6, own6),
        neighbour(134, "fe80::20", own6),
    ] {
        assert!(dropped(&mut bench, "from_pod", &lie, Reason::SpoofedSource));
    }
}

fn with_ethertype(ethertype: u16) -> Vec<u8> {
    let mut frame = udp("10.244.1.20:1", "198.51.100.10:53", b"?");
    frame[12..14].copy_from_slice(&ethertype.to_be_bytes());
    frame
}

#[test]
fn what_policies_cannot_be_asked_about_passes_where_none_would_be() {
    // VLAN, QinQ, MPLS, PPPoE, a length (IEEE 802.3), LLDP.
    let frames = [0x8100, 0x88a8, 0x8847, 0x8864, 0x0040, 0x88cc].map(with_ethertype);
    let audited = 3 | Policing::AUDIT;
    for (ingress, egress) in [(0, 0), (3, 0), (0, 3), (3, 3), (audited, audited)] {
        let mut bench = bench(ingress, egress);
        for frame in &frames {
            for (program, set) in [("from_pod", egress), ("from_uplink", 0)] {
                let expected = if set == 3 { Verdict::Drop } else { Verdict::Next };
                assert_eq!(bench.run(program, frame).0, expected, "{program} {:x?}", &frame[12..14]);
            }
        }
        let told = if egress == 3 { frames.len() as u64 } else { 0 };
        assert_eq!(bench.drops(Reason::Unjudgeable), told, "{ingress} {egress}");
    }
}

/// With IP options of so many words, or so many extension headers of destination options.
fn longer(frame: &[u8], units: u8) -> Vec<u8> {
    let mut longer = frame.to_vec();
    if frame[14] >> 4 == 4 {
        let at = 34;
        longer.splice(at..at, vec![1; usize::from(units) * 4]);
        longer[14] = 0x45 + units;
        let length = (longer.len() - 14) as u16;
        longer[16..18].copy_from_slice(&length.to_be_bytes());
        longer[24..26].fill(0);
        let sum = etherparse::Ipv4Header::from_slice(&longer[14..]).unwrap().0.calc_header_checksum();
        longer[24..26].copy_from_slice(&sum.to_be_bytes());
    } else {
        for _ in 0..units {
            let next = std::mem::replace(&mut longer[20], 60);
            longer.splice(54..54, [next, 0, 1, 4, 0, 0, 0, 0]);
        }
        let length = (longer.len() - 54) as u16;
        longer[18..20].copy_from_slice(&length.to_be_bytes());
    }
    longer
}

#[test]
fn options_and_extension_headers_hide_no_port() {
    let mut bench = bench(0, 3);
    for [own, _, _, outside] in FAMILIES {
        for frame in [tcp(&at(own, 1), &at(outside, 80), "S"), udp(&at(own, 1), &at(outside, 53), &[0; 3_000])] {
            for units in [0, 1, 7, 8, 10] {
                let frame = longer(&frame, units);
                assert!(dropped(&mut bench, "from_pod", &frame, Reason::PolicyEgress), "{units}");
            }
        }
    }
}

#[test]
fn a_mapped_address_and_a_tiny_fragment_and_two_fragment_headers_pass_for_nobody() {
    let mut bench = bench(0, 0);
    let mapped = udp("[fd00:10:244:1::20]:1", "[::ffff:10.244.1.21]:53", b"?");
    assert!(dropped(&mut bench, "from_pod", &mapped, Reason::MappedAddress));

    let mut tiny = tcp("10.244.1.20:1", "198.51.100.10:80", "S");
    // The frame has the whole header, and the packet only eight bytes of it.
    tiny[16..18].copy_from_slice(&28_u16.to_be_bytes());
    tiny[20..22].copy_from_slice(&0x2000_u16.to_be_bytes());
    assert!(dropped(&mut bench, "from_pod", &tiny, Reason::Malformed));
    tiny[20..22].copy_from_slice(&0x0001_u16.to_be_bytes());
    assert!(dropped(&mut bench, "from_pod", &tiny, Reason::Malformed));

    let mut nested = udp("[fd00:10:244:1::20]:1", "[2001:db8:2::10]:53", &[0; 32]);
    for _ in 0..2 {
        let next = std::mem::replace(&mut nested[20], 44);
        nested.splice(54..54, [next, 0, 0, 1, 0, 0, 0, 7]);
    }
    let length = (nested.len() - 54) as u16;
    nested[18..20].copy_from_slice(&length.to_be_bytes());
    assert!(dropped(&mut bench, "from_pod", &nested, Reason::Malformed));
}

#[test]
fn an_error_that_quotes_an_allowed_flow_carries_nothing_to_others() {
    let mut bench = bench(0, 3);
    for [own, other, _, outside] in FAMILIES {
        let (kind, code) = if own.contains(':') { (1, 4) } else { (3, 3) };
        for about in [
            udp(&at(other, 53), &at(own, 1), b"?"),
            echo(&at(outside, 1), &at(own, 1)),
            // What was sent to a pod that may is no business of this one.
            udp(&at(outside, 53), &at(other, 1), b"?"),
        ] {
            let error = icmp_error(own, outside, kind, code, 0, &about);
            assert!(dropped(&mut bench, "from_pod", &error, Reason::PolicyEgress));
        }
    }
}
