//! Random Services, and random packets to and from them.

use std::net::{IpAddr, SocketAddr};

use proptest::prelude::*;

/// Source and destination.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) struct Ends {
    pub(super) src: SocketAddr,
    pub(super) dst: SocketAddr,
}

impl Ends {
    pub(super) fn reversed(self) -> Self {
        Self { src: self.dst, dst: self.src }
    }
}

/// A packet, as far as it matters.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Packet {
    pub(super) ends: Ends,
    pub(super) tcp: bool,
    /// Opens a connection (a datagram always may), or belongs to one.
    pub(super) opens: bool,
}

/// An endpoint.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Endpoint {
    pub(super) addr: SocketAddr,
    pub(super) local: bool,
}

/// A Service of one port, for both protocols.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Service {
    pub(super) cluster_ip: SocketAddr,
    pub(super) node_port: u16,
    pub(super) endpoints: Vec<Endpoint>,
    /// `externalTrafficPolicy: Local`.
    pub(super) external_local: bool,
    /// `internalTrafficPolicy: Local`.
    pub(super) internal_local: bool,
}

/// Who sends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Client {
    Pod,
    Node,
    Outside,
}

/// What happens next.
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// A client sends to a Service (or past it).
    Send { client: Client, host: u8, port: u16, service: usize, node_port: bool, miss: bool, tcp: bool, opens: bool },
    /// The backend of an open flow answers.
    Answer { flow: usize },
}

/// Services and what happens to them, in one family.
#[derive(Clone, Debug)]
pub(super) struct Story {
    pub(super) ipv6: bool,
    pub(super) services: Vec<Service>,
    pub(super) steps: Vec<Step>,
}

/// The node's own address.
pub(super) fn node(ipv6: bool) -> IpAddr {
    crate::bench::NODE[usize::from(ipv6)].parse().unwrap()
}

/// Address `host` of a pod network: 1 is this node's, 2 another's.
pub(super) fn pod(ipv6: bool, network: u8, host: u8) -> IpAddr {
    let text = if ipv6 { format!("fd00:10:244:{network}::{host}") } else { format!("10.244.{network}.{host}") };
    text.parse().unwrap()
}

/// Address of a client.
pub(super) fn client(ipv6: bool, client: Client, host: u8) -> IpAddr {
    match client {
        Client::Pod => pod(ipv6, 1, host),
        Client::Node => node(ipv6),
        Client::Outside if ipv6 => format!("2001:db8:2::{host}").parse().unwrap(),
        Client::Outside => format!("198.51.100.{host}").parse().unwrap(),
    }
}

fn cluster_ip(ipv6: bool, index: usize) -> IpAddr {
    if ipv6 { format!("fd00:10:96::{}", index + 1) } else { format!("10.96.0.{}", index + 1) }.parse().unwrap()
}

fn service(ipv6: bool, index: usize) -> impl Strategy<Value = Service> {
    // Clients live at hosts 10 to 13 of network 1, endpoints at 10 to 15: some pods are their own backends.
    let endpoint = (any::<bool>(), 10_u8..16, 8_080_u16..8_082).prop_map(move |(local, host, port)| Endpoint {
        addr: SocketAddr::new(pod(ipv6, if local { 1 } else { 2 }, host), port),
        local,
    });
    (prop::collection::vec(endpoint, 0..5), any::<bool>(), any::<bool>()).prop_map(
        move |(mut endpoints, external_local, internal_local)| {
            endpoints.sort_by_key(|endpoint| endpoint.addr);
            endpoints.dedup();
            Service {
                cluster_ip: SocketAddr::new(cluster_ip(ipv6, index), 80),
                node_port: 30_080 + index as u16,
                endpoints,
                external_local,
                internal_local,
            }
        },
    )
}

fn step() -> impl Strategy<Value = Step> {
    let client = prop_oneof![Just(Client::Pod), Just(Client::Node), Just(Client::Outside)];
    // Few clients and ports, so that flows meet: the same again, or another Service from the same port.
    let send = (
        client,
        10_u8..14,
        40_000_u16..40_003,
        0_usize..3,
        any::<bool>(),
        prop::bool::weighted(0.05),
        any::<bool>(),
        prop::bool::weighted(0.6),
    )
        .prop_map(|(client, host, port, service, node_port, miss, tcp, opens)| Step::Send {
            client,
            host,
            port,
            service,
            node_port,
            miss,
            tcp,
            opens,
        });
    prop_oneof![2 => send, 1 => any::<usize>().prop_map(|flow| Step::Answer { flow })]
}

pub(super) fn story() -> impl Strategy<Value = Story> {
    any::<bool>().prop_flat_map(|ipv6| {
        let services = (service(ipv6, 0), service(ipv6, 1), service(ipv6, 2)).prop_map(|(a, b, c)| vec![a, b, c]);
        (services, prop::collection::vec(step(), 1..80)).prop_map(move |(services, steps)| Story {
            ipv6,
            services,
            steps,
        })
    })
}
