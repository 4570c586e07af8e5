//! What a sender is told: resets, "port unreachable", "too big", "time exceeded".

use proxy_common::drop::Reason;

use crate::bench::{Bench, Verdict};
use crate::packet::{Seen, What, echo, icmp_error, tcp, tcp_with, udp, udp_ttl};

const FAMILIES: [[&str; 4]; 2] = [
    ["10.244.1.20:40000", "10.96.0.1:80", "198.51.100.10:40000", "192.0.2.11:30080"],
    ["[fd00:10:244:1::20]:40000", "[fd00:10:96::1]:80", "[2001:db8:2::10]:40000", "[2001:db8:1::11]:30080"],
];

fn without_port(socket: &str) -> String {
    socket.parse::<std::net::SocketAddr>().unwrap().ip().to_string()
}

fn reset(src: &str, dst: &str, acknowledgement: u32) -> Seen {
    Seen {
        src: src.into(),
        dst: dst.into(),
        ttl: 64,
        what: What::Tcp { flags: "AR".into(), sequence: 0, acknowledgement },
    }
}

#[test]
fn a_connection_to_a_service_without_endpoints_is_reset_at_once() {
    for [pod, cluster_ip, client, node_port] in FAMILIES {
        let mut bench = Bench::new();
        bench.service(&[cluster_ip, ":30080"], &[], 0);
        for (hook, src, dst) in
            [("from_pod", pod, cluster_ip), ("from_uplink", client, node_port), ("to_uplink", node_port, cluster_ip)]
        {
            let (verdict, told) = bench.see(hook, &tcp(src, dst, "S"));
            assert_eq!((verdict, told), (Verdict::Redirect, reset(dst, src, 1_001)));
            let (_, told) = bench.see(hook, &tcp_with(src, dst, "S", b"early"));
            assert_eq!(told, reset(dst, src, 1_006));
        }
        assert_eq!(bench.drops(Reason::NoEndpoints), 6);
    }
}

#[test]
fn a_cluster_ip_refuses_what_no_port_of_it_takes() {
    for [pod, cluster_ip, client, node] in FAMILIES {
        let mut bench = Bench::new();
        bench.service(&[cluster_ip], &["10.244.2.10:8080", "[fd00:10:244:2::10]:8080"], 0);
        let unserved = cluster_ip.replace(":80", ":81");
        for (hook, src) in [("from_pod", pod), ("from_uplink", client), ("to_uplink", node)] {
            let (verdict, told) = bench.see(hook, &tcp(src, &unserved, "S"));
            assert_eq!((verdict, told), (Verdict::Redirect, reset(&unserved, src, 1_001)));
            for frame in [udp(src, &unserved, b"?"), echo(src, cluster_ip)] {
                let (verdict, told) = bench.see(hook, &frame);
                assert_eq!(verdict, Verdict::Redirect);
                let kind_and_code = if src.starts_with('[') { (1, 4) } else { (3, 3) };
                let What::Icmp { kind, code, .. } = told.what else { panic!("{told:?}") };
                assert_eq!((kind, code), kind_and_code, "port unreachable");
                assert_eq!((told.src, told.dst), (without_port(cluster_ip), without_port(src)));
            }
        }
        assert_eq!(bench.drops(Reason::NoSuchPort), 9);
        assert_eq!(bench.flows(), (0, 0));
    }
}

#[test]
fn echo_requests_that_are_not_for_a_cluster_ip_pass_untouched() {
    for [pod, cluster_ip, client, node_port] in FAMILIES {
        let mut bench = Bench::new();
        bench.service(&[cluster_ip, ":30080"], &["10.244.2.10:8080", "[fd00:10:244:2::10]:8080"], 0);
        for frame in [echo(pod, client), echo(client, node_port)] {
            for hook in ["from_pod", "to_pod", "from_uplink", "to_uplink"] {
                assert_eq!(bench.run(hook, &frame), (Verdict::Next, frame.clone()));
            }
        }
    }
}

#[test]
fn what_pads_a_short_frame_is_no_part_of_the_segment_that_is_reset() {
    for [_, _, client, node_port] in FAMILIES {
        let mut bench = Bench::new();
        bench.service(&[":30080"], &[], 0);
        let padded = [tcp(client, node_port, "S"), vec![0; 6]].concat();
        assert_eq!(bench.see("from_uplink", &padded).1, reset(node_port, client, 1_001));
    }
}

#[test]
fn a_segment_of_the_nodes_own_connection_from_a_node_port_is_left_to_it() {
    for [_, _, client, node_port] in FAMILIES {
        let mut bench = Bench::new();
        bench.service(&[":30080"], &["10.244.2.10:8080", "[fd00:10:244:2::10]:8080"], 0);
        let frame = tcp(client, node_port, "SA");
        assert_eq!(bench.run("from_uplink", &frame).0, Verdict::Redirect);
        let _socket = std::net::TcpListener::bind(node_port).unwrap();
        assert_eq!(bench.run("from_uplink", &frame), (Verdict::Next, frame.clone()));
    }
}

#[test]
fn a_segment_of_no_known_connection_is_reset_by_its_own_number() {
    let mut bench = Bench::new();
    bench.service(&["10.96.0.1:80"], &["10.244.2.10:8080"], 0);
    let (verdict, told) = bench.see("from_pod", &tcp("10.244.1.20:40000", "10.96.0.1:80", "A"));
    assert_eq!(verdict, Verdict::Redirect);
    assert_eq!(told.what, What::Tcp { flags: "R".into(), sequence: 5_000, acknowledgement: 0 });
    assert_eq!(bench.drops(Reason::NoConnection), 1);
}

#[test]
fn a_reset_is_never_answered() {
    let mut bench = Bench::new();
    bench.service(&["10.96.0.1:80"], &[], 0);
    assert_eq!(bench.run("from_pod", &tcp("10.244.1.20:40000", "10.96.0.1:80", "R")).0, Verdict::Drop);
}

#[test]
fn a_datagram_to_a_service_without_endpoints_is_told_port_unreachable() {
    for (family, [pod, cluster_ip, _, _]) in FAMILIES.into_iter().enumerate() {
        for payload in [&b""[..], b"a payload longer than what an error quotes of it"] {
            let mut bench = Bench::new();
            bench.service(&[cluster_ip], &[], 0);
            let (verdict, told) = bench.see("from_pod", &udp(pod, cluster_ip, payload));
            let (kind, code) = [(3, 3), (1, 4)][family];
            let what = What::Icmp { kind, code, rest: 0, src: pod.into(), dst: cluster_ip.into() };
            assert_eq!((verdict, told.what), (Verdict::Redirect, what));
            assert_eq!((told.src, told.dst), (without_port(cluster_ip), without_port(pod)));
        }
    }
}

#[test]
fn a_packet_too_large_for_the_way_to_the_backend_is_told_what_fits() {
    for (family, [_, _, client, node_port]) in FAMILIES.into_iter().enumerate() {
        let mut bench = Bench::new();
        let backend = ["10.244.2.10:8080", "[fd00:10:244:2::10]:8080"][family];
        bench.service(&[":30080"], &[backend], 0);
        assert!(
            std::process::Command::new("ip").args(["link", "set", "eth0", "mtu", "1400"]).status().unwrap().success()
        );
        let (verdict, told) = bench.see("from_uplink", &udp(client, node_port, &[1; 1_400]));
        let (kind, code) = [(3, 4), (2, 0)][family];
        let what = What::Icmp { kind, code, rest: 1_400, src: client.into(), dst: node_port.into() };
        assert_eq!((verdict, told.what), (Verdict::Redirect, what));
        let (verdict, _) = bench.see("from_uplink", &udp(client, node_port, &[1; 1_300]));
        assert_eq!(verdict, Verdict::Redirect);
        assert_eq!(bench.drops(Reason::TooBig), 1);
    }
}

#[test]
fn a_packet_with_no_hop_left_is_told_so() {
    for (family, [_, _, client, node_port]) in FAMILIES.into_iter().enumerate() {
        let mut bench = Bench::new();
        bench.service(&[":30080"], &[["10.244.2.10:8080", "[fd00:10:244:2::10]:8080"][family]], 0);
        let (verdict, told) = bench.see("from_uplink", &udp_ttl(client, node_port, b"last", 1));
        let What::Icmp { kind, code, .. } = told.what else { panic!("{told:?}") };
        assert_eq!((verdict, kind, code), (Verdict::Redirect, [11, 3][family], 0));
    }
}

#[test]
fn an_error_about_a_service_without_endpoints_is_not_answered_by_another() {
    let mut bench = Bench::new();
    bench.service(&["10.96.0.1:80"], &[], 0);
    let about = udp("10.96.0.1:80", "10.244.1.20:40000", b"?");
    let error = icmp_error("10.244.1.20", "10.96.0.1", 3, 3, 0, &about);
    assert_eq!(bench.run("from_pod", &error), (Verdict::Next, error.clone()));
}

#[test]
fn nothing_is_answered_to_a_source_that_is_no_single_host() {
    for (names, sources) in
        FAMILIES.iter().zip([&["224.0.0.1:1", "255.255.255.255:1", "0.0.0.0:1"][..], &["[ff02::1]:1", "[::]:1"][..]])
    {
        let [_, cluster_ip, _, _] = names;
        let mut bench = Bench::new();
        bench.service(&[cluster_ip], &[], 0);
        for source in sources {
            for frame in [udp(source, cluster_ip, b"?"), tcp(source, cluster_ip, "S")] {
                assert_eq!(bench.run("from_pod", &frame).0, Verdict::Drop, "{source}");
            }
        }
    }
}

#[test]
fn a_frame_that_is_for_many_hosts_is_left_to_the_stack() {
    for [pod, cluster_ip, ..] in FAMILIES {
        let mut bench = Bench::new();
        bench.service(&[cluster_ip], &[], 0);
        for to in [[0xff; 6], [1, 0, 0x5e, 0, 0, 1]] {
            let mut frame = udp(pod, cluster_ip, b"?");
            frame[..6].copy_from_slice(&to);
            for program in ["from_pod", "from_uplink"] {
                assert_eq!(bench.run(program, &frame), (Verdict::Next, frame.clone()));
            }
        }
    }
}
