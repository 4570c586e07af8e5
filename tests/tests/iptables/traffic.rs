//! Connections of the node's own programs through the rules. Endpoints are sockets at addresses of its loopback interface.

use std::collections::BTreeSet;
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::thread;
use std::time::Duration;

use proxy_user::model::{FrontendKind, Protocol, ServicePort};

use crate::place::{NODE, at, on_a_node, run};
use crate::ports::{frontend, node_port, port};

const PATIENCE: Duration = Duration::from_secs(5);

/// Gives the node its addresses and its endpoints', and a way to those of Services.
fn connect() {
    for addr in ["192.0.2.1", "10.1.0.1", "10.1.0.2"] {
        run(&format!("ip address add {addr}/32 dev lo"));
    }
    for addr in ["2001:db8::1", "fd00:1::1", "fd00:1::2"] {
        run(&format!("ip address add {addr}/128 dev lo nodad"));
    }
    run("ip link add uplink type veth peer name beyond");
    for device in ["uplink", "beyond"] {
        run(&format!("ip link set {device} up"));
    }
    for (to, from) in [("10.96.0.0/16", NODE[0]), ("203.0.113.0/24", NODE[0]), ("fd00:96::/64", NODE[1])] {
        run(&format!("ip route add {to} dev uplink src {from}"));
    }
}

/// Answers connections with the endpoint's own address.
fn answer(endpoint: &str) {
    let listener = TcpListener::bind(at(endpoint)).unwrap();
    let endpoint = endpoint.to_owned();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let _ = stream.unwrap().write_all(endpoint.as_bytes());
        }
    });
}

fn ask(to: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&at(to), PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

fn answers(to: &str, times: u32) -> BTreeSet<String> {
    (0..times).map(|_| ask(to).unwrap()).collect()
}

#[test]
fn every_frontend_leads_to_every_endpoint_and_a_bound_client_to_one() {
    for (endpoints, cluster_ip, external, node) in [
        (["10.1.0.1:8080", "10.1.0.2:8080"], "10.96.0.1:80", "203.0.113.1:80", "192.0.2.1:30080"),
        (["[fd00:1::1]:8080", "[fd00:1::2]:8080"], "[fd00:96::1]:80", "[fd00:96::cafe]:80", "[2001:db8::1]:30080"),
    ] {
        on_a_node(|place| {
            connect();
            place.sync(None);
            endpoints.into_iter().for_each(answer);
            let mut web = port("web", cluster_ip, Protocol::Tcp, &endpoints);
            web.frontends.push(frontend(FrontendKind::LoadBalancer, at(external), Protocol::Tcp));
            web.frontends.push(node_port(&web, 30_080));
            place.serve(&[web.clone()]);
            for to in [cluster_ip, external, node] {
                assert_eq!(answers(to, 40), endpoints.map(String::from).into(), "{to}");
            }
            place.serve(&[ServicePort { session_affinity: Some(600), ..web.clone() }]);
            let bound = answers(cluster_ip, 20);
            assert_eq!(bound.len(), 1);
            assert_eq!(answers(node, 20), bound, "the same client, whatever the frontend");
            let other = web.endpoints.iter().find(|it| !bound.contains(&SocketAddr::new(it.ip, it.port).to_string()));
            let other = other.unwrap().clone();
            place.serve(&[ServicePort { session_affinity: Some(600), endpoints: vec![other], ..web }]);
            assert!(answers(cluster_ip, 5).is_disjoint(&bound), "what it was bound to is gone");
        });
    }
}

#[test]
fn what_has_no_endpoint_is_refused_and_who_is_not_let_is_dropped() {
    on_a_node(|place| {
        connect();
        place.sync(None);
        answer("10.1.0.1:8080");
        let mut web = port("web", "10.96.0.1:80", Protocol::Tcp, &[]);
        web.frontends.push(frontend(FrontendKind::ExternalIp, at("203.0.113.1:80"), Protocol::Tcp));
        web.frontends.push(node_port(&web, 30_080));
        place.serve(&[web.clone()]);
        for to in ["10.96.0.1:80", "203.0.113.1:80", "192.0.2.1:30080"] {
            assert_eq!(ask(to).unwrap_err().kind(), io::ErrorKind::ConnectionRefused, "{to}");
        }
        web.endpoints = vec![crate::ports::endpoint("10.1.0.1:8080")];
        let only = |range: &str| ServicePort { source_ranges: Some([range.parse().unwrap()].into()), ..web.clone() };
        place.serve(&[only("0.0.0.0/1")]);
        assert_eq!(ask("10.96.0.1:80").unwrap(), "10.1.0.1:8080");
        place.serve(&[only("198.51.100.0/24")]);
        assert_eq!(ask("10.96.0.1:80").unwrap(), "10.1.0.1:8080", "only external addresses are restricted");
        let refused = TcpStream::connect_timeout(&at("203.0.113.1:80"), Duration::from_millis(300)).unwrap_err();
        assert!(matches!(refused.kind(), io::ErrorKind::TimedOut | io::ErrorKind::PermissionDenied), "{refused}");
    });
}

#[test]
fn datagrams_of_one_socket_follow_the_endpoints_and_begin_with_the_first() {
    for (endpoints, frontends) in [
        (["10.1.0.1:8053", "10.1.0.2:8053"], ["10.96.0.1:53", "192.0.2.1:30053"]),
        (["[fd00:1::1]:8053", "[fd00:1::2]:8053"], ["[fd00:96::1]:53", "[2001:db8::1]:30053"]),
    ] {
        for to in frontends.map(at) {
            on_a_node(|place| {
                connect();
                place.sync(None);
                let sockets = endpoints.map(|endpoint| {
                    let socket = UdpSocket::bind(at(endpoint)).unwrap();
                    socket.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
                    socket
                });
                let client = UdpSocket::bind(if to.is_ipv4() { "192.0.2.1:0" } else { "[2001:db8::1]:0" }).unwrap();
                let arrives = |socket: &UdpSocket| {
                    // A refused datagram before it is told of here.
                    let _ = client.take_error();
                    client.send_to(b"?", to).unwrap();
                    socket.recv(&mut [0; 8]).is_ok()
                };
                let dns = |endpoints: &[&str]| {
                    let mut dns = port("dns", frontends[0], Protocol::Udp, endpoints);
                    dns.frontends.push(node_port(&dns, 30_053));
                    dns
                };
                assert!(!arrives(&sockets[0]), "there is no Service yet, and conntrack knows the flow");
                place.serve(&[dns(&endpoints[..1])]);
                assert!(arrives(&sockets[0]), "{to}: the first endpoint gets it");
                place.serve(&[dns(&endpoints[1..])]);
                assert!(arrives(&sockets[1]), "{to}: the endpoint left");
            });
        }
    }
}
