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
    pub(super) protocol: Protocol,
    /// Opens a connection (a datagram always may), or belongs to one.
    pub(super) opens: bool,
}

/// What a packet is of.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Protocol {
    Tcp,
    Udp,
    /// An echo request, which no Service serves.
    Echo,
}

/// An endpoint.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Endpoint {
    pub(super) addr: SocketAddr,
    pub(super) local: bool,
}

/// Which of a Service's addresses a client sends to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Frontend {
    ClusterIp,
    NodePort,
    Balancer,
}

/// A Service of one port, for both protocols.
#[expect(clippy::struct_excessive_bools, reason = "a Service's own fields, each a matter for itself")]
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Service {
    pub(super) cluster_ip: SocketAddr,
    pub(super) node_port: u16,
    /// The load balancer's address.
    pub(super) balancer: SocketAddr,
    /// `loadBalancerSourceRanges`: [`in_range`].
    pub(super) ranges: bool,
    /// `sessionAffinity: ClientIP`.
    pub(super) affinity: bool,
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
    Send {
        client: Client,
        host: u8,
        port: u16,
        service: usize,
        frontend: Frontend,
        miss: bool,
        protocol: Protocol,
        opens: bool,
    },
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

/// Network of those that `loadBalancerSourceRanges` lets in, and the bits of its prefix: clients outside at hosts 10 and
/// 11.
pub(super) fn range(ipv6: bool) -> (IpAddr, u32) {
    (client(ipv6, Client::Outside, 10), if ipv6 { 127 } else { 31 })
}

/// Whether an address is in [`range`].
pub(super) fn in_range(ipv6: bool, source: IpAddr) -> bool {
    [10, 11].map(|host| client(ipv6, Client::Outside, host)).contains(&source)
}

fn balancer(ipv6: bool, index: usize) -> IpAddr {
    if ipv6 { format!("2001:db8:9::{}", index + 1) } else { format!("203.0.113.{}", index + 1) }.parse().unwrap()
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
    (prop::collection::vec(endpoint, 0..5), any::<[bool; 4]>()).prop_map(
        move |(mut endpoints, [external_local, internal_local, ranges, affinity])| {
            endpoints.sort_by_key(|endpoint| endpoint.addr);
            endpoints.dedup();
            Service {
                cluster_ip: SocketAddr::new(cluster_ip(ipv6, index), 80),
                node_port: 30_080 + index as u16,
                balancer: SocketAddr::new(balancer(ipv6, index), 80),
                ranges,
                affinity,
                endpoints,
                external_local,
                internal_local,
            }
        },
    )
}

fn step() -> impl Strategy<Value = Step> {
    let client = prop_oneof![Just(Client::Pod), Just(Client::Node), Just(Client::Outside)];
    let frontend = prop_oneof![Just(Frontend::ClusterIp), Just(Frontend::NodePort), Just(Frontend::Balancer)];
    let protocol = prop_oneof![9 => Just(Protocol::Tcp), 9 => Just(Protocol::Udp), 1 => Just(Protocol::Echo)];
    // Few clients and ports, so that flows meet: the same again, or another Service from the same port.
    let send = (
        client,
        10_u8..14,
        40_000_u16..40_003,
        0_usize..3,
        frontend,
        prop::bool::weighted(0.05),
        protocol,
        prop::bool::weighted(0.6),
    )
        .prop_map(|(client, host, port, service, frontend, miss, protocol, opens)| Step::Send {
            client,
            host,
            port,
            service,
            frontend,
            miss,
            protocol,
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
