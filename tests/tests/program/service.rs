//! Service translation, both families.

use proxy_common::drop::Reason;
use proxy_common::tables::service_flags;

use crate::bench::{Bench, Verdict};
use crate::packet::{Seen, What, tcp, tcp_with, udp};

/// Addresses of one family, so that each story is told once.
pub(crate) struct Names {
    pub(crate) pod: &'static str,
    pub(crate) client: &'static str,
    pub(crate) cluster_ip: &'static str,
    pub(crate) node_port: &'static str,
    pub(crate) node: &'static str,
    pub(crate) local: &'static str,
    pub(crate) remote: &'static str,
}

pub(crate) const FAMILIES: [Names; 2] = [
    Names {
        pod: "10.244.1.20:40000",
        client: "198.51.100.10:40000",
        cluster_ip: "10.96.0.1:80",
        node_port: "192.0.2.11:30080",
        node: "192.0.2.11:40000",
        local: "10.244.1.10:8080",
        remote: "10.244.2.10:8080",
    },
    Names {
        pod: "[fd00:10:244:1::20]:40000",
        client: "[2001:db8:2::10]:40000",
        cluster_ip: "[fd00:10:96::1]:80",
        node_port: "[2001:db8:1::11]:30080",
        node: "[2001:db8:1::11]:40000",
        local: "[fd00:10:244:1::10]:8080",
        remote: "[fd00:10:244:2::10]:8080",
    },
];

/// Ways to make a packet of a protocol that opens, answers and goes on.
const PROTOCOLS: [(&str, &str, &str); 2] = [("S", "SA", "A"), ("", "", "")];

fn packet(src: &str, dst: &str, flags: &str) -> Vec<u8> {
    if flags.is_empty() { udp(src, dst, b"hello") } else { tcp(src, dst, flags) }
}

pub(crate) fn ends(seen: &Seen) -> (&str, &str) {
    (&seen.src, &seen.dst)
}

fn for_each(story: impl Fn(&Names, (&str, &str, &str))) {
    for names in &FAMILIES {
        for protocol in PROTOCOLS {
            story(names, protocol);
        }
    }
}

#[test]
fn a_pods_packet_to_a_cluster_ip_goes_to_the_backend_by_the_nodes_stack_and_comes_back_as_the_service() {
    for_each(|names, (open, answer, _)| {
        let mut bench = Bench::new();
        bench.service(&[names.cluster_ip], &[names.remote], 0);
        let (verdict, there) = bench.see("from_pod", &packet(names.pod, names.cluster_ip, open));
        assert_eq!((verdict, ends(&there), there.ttl), (Verdict::Next, (names.pod, names.remote), 64));
        let (verdict, passing) = bench.see("from_uplink", &packet(names.remote, names.pod, answer));
        assert_eq!((verdict, ends(&passing)), (Verdict::Next, (names.remote, names.pod)));
        let (verdict, back) = bench.see("to_pod", &packet(names.remote, names.pod, answer));
        assert_eq!((verdict, ends(&back)), (Verdict::Next, (names.cluster_ip, names.pod)));
    });
}

#[test]
fn a_clients_packet_to_a_node_port_keeps_its_source_where_the_backend_is_here() {
    for_each(|names, (open, answer, _)| {
        let mut bench = Bench::new();
        bench.service(&[":30080"], &[&format!("@{}", names.local)], 0);
        let (verdict, there) = bench.see("from_uplink", &packet(names.client, names.node_port, open));
        assert_eq!((verdict, ends(&there), there.ttl), (Verdict::Redirect, (names.client, names.local), 63));
        let (verdict, back) = bench.see("from_pod", &packet(names.local, names.client, answer));
        assert_eq!((verdict, ends(&back), back.ttl), (Verdict::Redirect, (names.node_port, names.client), 63));
    });
}

#[test]
fn a_clients_packet_to_a_node_port_gets_the_nodes_address_where_the_backend_is_elsewhere() {
    for_each(|names, (open, answer, _)| {
        let mut bench = Bench::new();
        bench.service(&[":30080"], &[names.remote], 0);
        let (verdict, there) = bench.see("from_uplink", &packet(names.client, names.node_port, open));
        assert_eq!((verdict, ends(&there)), (Verdict::Redirect, (names.node, names.remote)));
        let (verdict, back) = bench.see("from_uplink", &packet(names.remote, names.node, answer));
        assert_eq!((verdict, ends(&back)), (Verdict::Redirect, (names.node_port, names.client)));
    });
}

#[test]
fn the_nodes_own_packet_to_a_cluster_ip_leaves_by_the_backends_route_and_its_answer_is_handed_to_the_node() {
    for_each(|names, (open, answer, _)| {
        for backend in [names.remote, names.local] {
            let mut bench = Bench::new();
            let mark = if backend == names.local { "@" } else { "" };
            bench.service(&[names.cluster_ip], &[&format!("{mark}{backend}")], 0);
            let (verdict, there) = bench.see("to_uplink", &packet(names.node, names.cluster_ip, open));
            assert_eq!((verdict, ends(&there), there.ttl), (Verdict::Redirect, (names.node, backend), 64));
            let hook = if backend == names.local { "from_pod" } else { "from_uplink" };
            let (verdict, back) = bench.see(hook, &packet(backend, names.node, answer));
            assert_eq!((verdict, ends(&back), back.ttl), (Verdict::Redirect, (names.cluster_ip, names.node), 64));
        }
    });
}

#[test]
fn a_pod_that_is_its_own_backend_sees_the_node_as_its_peer() {
    for_each(|names, (open, answer, _)| {
        let mut bench = Bench::new();
        let own = format!("{}:8080", names.pod.rsplit_once(':').unwrap().0);
        bench.service(&[names.cluster_ip], &[&format!("@{own}")], 0);
        let (verdict, there) = bench.see("from_pod", &packet(names.pod, names.cluster_ip, open));
        assert_eq!((verdict, ends(&there)), (Verdict::Redirect, (names.node, own.as_str())));
        let (verdict, back) = bench.see("from_pod", &packet(&own, names.node, answer));
        assert_eq!((verdict, ends(&back)), (Verdict::Redirect, (names.cluster_ip, names.pod)));
    });
}

#[test]
fn a_flow_keeps_its_backend_and_moves_to_the_established_when_the_client_goes_on() {
    for_each(|names, (open, answer, more)| {
        let mut bench = Bench::new();
        let backends: Vec<String> = (10..30)
            .map(|i| names.remote.replace("2.10", &format!("2.{i}")).replace("2::10", &format!("2::{i}")))
            .collect();
        bench.service(&[names.cluster_ip], &backends.iter().map(String::as_str).collect::<Vec<_>>(), 0);
        let (_, there) = bench.see("from_pod", &packet(names.pod, names.cluster_ip, open));
        assert_eq!(bench.flows(), (0, 2));
        bench.run("to_pod", &packet(&there.dst, names.pod, answer));
        for _ in 0..20 {
            assert_eq!(bench.see("from_pod", &packet(names.pod, names.cluster_ip, more)).1.dst, there.dst);
        }
        assert_eq!(bench.flows(), (2, 0));
    });
}

#[test]
fn new_flows_spread_over_all_backends() {
    let names = &FAMILIES[0];
    let mut bench = Bench::new();
    bench.service(&[names.cluster_ip], &["10.244.2.10:8080", "10.244.2.11:8080", "10.244.2.12:8080"], 0);
    let mut seen = std::collections::BTreeMap::<String, u32>::new();
    for port in 10_000..10_300 {
        let (_, there) = bench.see("from_pod", &tcp(&format!("10.244.1.20:{port}"), names.cluster_ip, "S"));
        *seen.entry(there.dst).or_default() += 1;
    }
    // Each gets 100 of 300 on average; fewer than 50 of a fair choice happens once in ten thousand million runs.
    assert_eq!(seen.len(), 3, "{seen:?}");
    assert!(seen.values().all(|count| *count > 50), "{seen:?}");
}

#[test]
fn external_traffic_policy_local_drops_without_a_word_where_no_backend_is_local() {
    for_each(|names, (open, _, _)| {
        let mut bench = Bench::new();
        bench.service(&[":30080"], &[names.remote], service_flags::LOCAL_ONLY);
        assert_eq!(bench.run("from_uplink", &packet(names.client, names.node_port, open)).0, Verdict::Drop);
        assert_eq!(bench.drops(Reason::NoLocalEndpoints), 1);
    });
}

#[test]
fn payloads_and_missing_udp_checksums_survive() {
    let names = &FAMILIES[0];
    let mut bench = Bench::new();
    bench.service(&[names.cluster_ip], &[names.remote], 0);
    let odd = bench.see("from_pod", &udp(names.pod, names.cluster_ip, b"odd")).1;
    assert_eq!(odd.what, What::Udp { payload: b"odd".to_vec() });
    let mut without = udp("10.244.1.20:40001", names.cluster_ip, b"none");
    without[14 + 20 + 6..][..2].fill(0);
    let (_, out) = bench.run("from_pod", &without);
    assert_eq!(out[14 + 20 + 6..][..2], [0, 0]);
    let (_, data) = bench.see("from_pod", &tcp_with(names.pod, names.cluster_ip, "S", b"early data"));
    assert_eq!(data.dst, names.remote);
}

#[test]
fn what_is_no_service_passes_untouched() {
    let mut bench = Bench::new();
    bench.service(&["10.96.0.1:80", ":30080"], &["10.244.2.10:8080"], 0);
    for frame in [
        tcp("10.244.1.20:40000", "10.96.0.2:80", "S"),
        tcp("10.244.1.20:40000", "192.0.2.12:30080", "S"),
        udp("10.244.1.20:40000", "203.0.113.1:53", b"?"),
        [vec![0xff; 12], vec![8, 6], vec![0, 1, 8, 0, 6, 4, 0, 1], vec![0; 20]].concat(),
    ] {
        for program in ["from_pod", "to_pod", "from_uplink", "to_uplink"] {
            assert_eq!(bench.run(program, &frame), (Verdict::Next, frame.clone()));
        }
    }
    assert_eq!(bench.flows(), (0, 0));
}

#[test]
fn a_frame_meant_for_another_host_is_left_alone() {
    for_each(|names, (open, _, _)| {
        let mut bench = Bench::new();
        bench.service(&[names.cluster_ip, ":30080"], &[names.remote], 0);
        for frontend in [names.cluster_ip, names.node_port] {
            let mut frame = packet(names.client, frontend, open);
            frame[..6].copy_from_slice(&[2, 0, 0, 0, 0, 9]);
            assert_eq!(bench.run("from_uplink", &frame), (Verdict::Next, frame.clone()));
        }
    });
}

#[test]
fn an_outside_packet_with_the_nodes_own_source_is_left_to_the_stack() {
    for_each(|names, (open, _, _)| {
        let mut bench = Bench::new();
        bench.service(&[":30080"], &[&format!("@{}", names.local)], 0);
        let forged = packet(names.node, names.node_port, open);
        assert_eq!(bench.run("from_uplink", &forged), (Verdict::Next, forged.clone()));
        assert_eq!(bench.flows(), (0, 0));
    });
}

#[test]
fn a_backend_that_is_the_node_itself_is_reached_without_source_translation() {
    for_each(|names, (open, answer, _)| {
        let mut bench = Bench::new();
        // As the endpoints of the Service "kubernetes": not marked as local, because they name no node.
        let backend = names.node.replace(":40000", ":6443");
        bench.service(&[names.cluster_ip], &[&backend], 0);
        let (verdict, there) = bench.see("from_uplink", &packet(names.client, names.cluster_ip, open));
        assert_eq!((verdict, ends(&there)), (Verdict::Next, (names.client, backend.as_str())));
        let (verdict, back) = bench.see("to_uplink", &packet(&backend, names.client, answer));
        assert_eq!((verdict, ends(&back)), (Verdict::Next, (names.cluster_ip, names.client)));
        // A test run is on the loopback interface: it is on its way to the node already.
        let (verdict, there) = bench.see("to_uplink", &packet(names.node, names.cluster_ip, open));
        assert_eq!((verdict, ends(&there)), (Verdict::Next, (names.node, backend.as_str())));
    });
}

/// Addresses whose fifth or sixth byte pair in an IP header reads as the family's `EtherType`: a test run always takes
/// an Ethernet header for granted, and a tunnel's packet begins with IP.
const BEYOND_TUNNEL: [&str; 2] = ["8.0.0.10:40000", "[2001:db8:86dd::10]:40000"];

#[test]
fn a_packet_from_a_tunnel_without_link_layer_gets_one_on_its_way_to_an_interface_that_has_one() {
    for (names, beyond) in FAMILIES.iter().zip(BEYOND_TUNNEL) {
        for (open, answer, _) in PROTOCOLS {
            // Room for an IP header after the supposed Ethernet header, or the kernel refuses the run.
            let from_tunnel =
                |bench: &mut Bench, packet: Vec<u8>| bench.see("from_tunnel", &[&packet[14..], &[0; 14]].concat());

            let mut bench = Bench::new();
            bench.service(&[":30080"], &[&format!("@{}", names.local)], 0);
            let (verdict, there) = from_tunnel(&mut bench, packet(beyond, names.node_port, open));
            assert_eq!((verdict, ends(&there), there.ttl), (Verdict::Redirect, (beyond, names.local), 63));

            // A backend beyond the tunnel answers a client outside, and the node itself.
            let backend = beyond.replace(":40000", ":8080");
            let mut bench = Bench::new();
            bench.service(&[":30080", names.cluster_ip], &[&backend], 0);
            bench.run("from_uplink", &packet(names.client, names.node_port, open));
            let (verdict, back) = from_tunnel(&mut bench, packet(&backend, names.node, answer));
            assert_eq!((verdict, ends(&back)), (Verdict::Redirect, (names.node_port, names.client)));

            let own = names.node.replace(":40000", ":40001");
            bench.run("to_uplink", &packet(&own, names.cluster_ip, open));
            let (verdict, back) = from_tunnel(&mut bench, packet(&backend, &own, answer));
            assert_eq!((verdict, ends(&back), back.ttl), (Verdict::Redirect, (names.cluster_ip, own.as_str()), 64));
        }
    }
}

#[test]
fn an_ipv6_packet_with_an_ipv4_mapped_address_meets_no_ipv4_service() {
    let mut bench = Bench::new();
    bench.service(&["10.96.0.1:80"], &["10.244.2.10:8080"], 0);
    let frame = udp("[fd00:10:244:1::20]:40000", "[::ffff:10.96.0.1]:80", b"?");
    assert_eq!(bench.run("from_pod", &frame).0, Verdict::Drop);
    assert_eq!(bench.drops(Reason::MappedAddress), 1);
}

#[test]
fn a_header_cut_short_is_dropped_and_counted() {
    let mut bench = Bench::new();
    let whole = tcp("10.244.1.20:40000", "10.96.0.1:80", "S");
    assert_eq!(bench.run("from_pod", &whole[..14 + 20 + 12]).0, Verdict::Drop);
    assert_eq!(bench.drops(Reason::Malformed), 1);
}

#[test]
fn options_and_extension_headers_stay_and_every_checksum_is_right() {
    for (names, inserted) in FAMILIES.iter().zip([vec![1_u8; 8], vec![60, 0, 1, 4, 0, 0, 0, 0, 0, 0, 1, 4, 0, 0, 0, 0]])
    {
        for (frame, number) in
            [(udp(names.pod, names.cluster_ip, b"odd"), 17), (tcp(names.pod, names.cluster_ip, "S"), 6)]
        {
            let mut bench = Bench::new();
            bench.service(&[names.cluster_ip], &[names.remote], 0);
            let frame = with_headers(frame, &inserted, number);
            let (verdict, there) = bench.see("from_pod", &frame);
            assert_eq!((verdict, ends(&there)), (Verdict::Next, (names.pod, names.remote)));
        }
    }
}

/// The frame with IPv4 options, or with a hop-by-hop header and one of destination options.
fn with_headers(mut frame: Vec<u8>, inserted: &[u8], number: u8) -> Vec<u8> {
    let added = inserted.len() as u16;
    if frame[14] >> 4 == 4 {
        frame.splice(34..34, inserted.iter().copied());
        frame[14] += (added / 4) as u8;
        let length = u16::from_be_bytes([frame[16], frame[17]]) + added;
        frame[16..18].copy_from_slice(&length.to_be_bytes());
        let checksum = etherparse::Ipv4Header::from_slice(&frame[14..]).unwrap().0.calc_header_checksum();
        frame[24..26].copy_from_slice(&checksum.to_be_bytes());
    } else {
        frame.splice(54..54, inserted.iter().copied());
        frame[62] = number;
        frame[20] = 0;
        let length = u16::from_be_bytes([frame[18], frame[19]]) + added;
        frame[18..20].copy_from_slice(&length.to_be_bytes());
    }
    frame
}
