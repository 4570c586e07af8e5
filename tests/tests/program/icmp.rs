//! ICMP errors of translated flows are translated inside and out.

use crate::bench::{Bench, Verdict};
use crate::packet::{Seen, What, icmp_error, udp};

struct Names {
    client: &'static str,
    node_port: &'static str,
    node: &'static str,
    backend: &'static str,
    pod: &'static str,
    cluster_ip: &'static str,
    router: &'static str,
    /// Types and codes of "port unreachable" and "too big".
    errors: [(u8, u8, u32); 2],
}

const FAMILIES: [Names; 2] = [
    Names {
        client: "198.51.100.10:40000",
        node_port: "192.0.2.11:30080",
        node: "192.0.2.11:40000",
        backend: "10.244.2.10:8080",
        pod: "10.244.1.20:40000",
        cluster_ip: "10.96.0.1:80",
        router: "203.0.113.9",
        errors: [(3, 3, 0), (3, 4, 1_400)],
    },
    Names {
        client: "[2001:db8:2::10]:40000",
        node_port: "[2001:db8:1::11]:30080",
        node: "[2001:db8:1::11]:40000",
        backend: "[fd00:10:244:2::10]:8080",
        pod: "[fd00:10:244:1::20]:40000",
        cluster_ip: "[fd00:10:96::1]:80",
        router: "2001:db8:9::9",
        errors: [(1, 4, 0), (2, 0, 1_400)],
    },
];

fn ip(socket: &str) -> String {
    socket.parse::<std::net::SocketAddr>().unwrap().ip().to_string()
}

fn error(src: &str, dst: &str, (kind, code, rest): (u8, u8, u32), about: (&str, &str)) -> Seen {
    let what = What::Icmp { kind, code, rest, src: about.0.into(), dst: about.1.into() };
    Seen { src: src.into(), dst: dst.into(), ttl: 60, what }
}

#[test]
fn what_the_backend_says_of_a_pods_packet_reaches_the_pod_as_from_the_service() {
    for names in &FAMILIES {
        let mut bench = Bench::new();
        bench.service(&[names.cluster_ip], &[names.backend], 0);
        let (_, sent) = bench.run("from_pod", &udp(names.pod, names.cluster_ip, b"hello"));
        for (kind, code, rest) in names.errors {
            // Whoever tells it: the pod knows nobody else on that way.
            for teller in [ip(names.backend), names.router.into()] {
                let frame = icmp_error(&teller, &ip(names.pod), kind, code, rest, &sent);
                let (verdict, told) = bench.see("to_pod", &frame);
                let expected =
                    error(&ip(names.cluster_ip), &ip(names.pod), (kind, code, rest), (names.pod, names.cluster_ip));
                assert_eq!((verdict, told), (Verdict::Next, expected));
            }
        }
    }
}

#[test]
fn what_is_said_of_a_source_translated_packet_reaches_the_client() {
    for names in &FAMILIES {
        let mut bench = Bench::new();
        bench.service(&[":30080"], &[names.backend], 0);
        let (_, sent) = bench.run("from_uplink", &udp(names.client, names.node_port, b"hello"));
        for (kind, code, rest) in names.errors {
            let frame = icmp_error(names.router, &ip(names.node), kind, code, rest, &sent);
            let (verdict, mut told) = bench.see("from_uplink", &frame);
            // It was forwarded: one hop less.
            assert_eq!((verdict, told.ttl), (Verdict::Redirect, 59));
            told.ttl = 60;
            let expected =
                error(&ip(names.node_port), &ip(names.client), (kind, code, rest), (names.client, names.node_port));
            assert_eq!(told, expected);
        }
    }
}

#[test]
fn what_the_client_says_of_a_reply_reaches_the_backend() {
    for names in &FAMILIES {
        let mut bench = Bench::new();
        bench.service(&[":30080"], &[names.backend], 0);
        bench.run("from_uplink", &udp(names.client, names.node_port, b"hello"));
        let (_, reply) = bench.run("from_uplink", &udp(names.backend, names.node, b"answer"));
        for (kind, code, rest) in names.errors {
            let frame = icmp_error(&ip(names.client), &ip(names.node_port), kind, code, rest, &reply);
            let (verdict, told) = bench.see("from_uplink", &frame);
            assert_eq!((verdict, told.src, told.dst), (Verdict::Redirect, ip(names.node), ip(names.backend)));
            let about = What::Icmp { kind, code, rest, src: names.backend.into(), dst: names.node.into() };
            assert_eq!(told.what, about);
        }
    }
}

#[test]
fn an_error_about_no_flow_of_ours_passes_untouched() {
    let mut bench = Bench::new();
    bench.service(&["10.96.0.1:80"], &["10.244.2.10:8080"], 0);
    let frame = icmp_error("203.0.113.9", "10.244.1.20", 3, 3, 0, &udp("10.244.1.20:1", "203.0.113.1:53", b"?"));
    assert_eq!(bench.run("to_pod", &frame), (Verdict::Next, frame.clone()));
}
