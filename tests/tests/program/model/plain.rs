//! The shared decisions on plain tables.

use std::net::SocketAddr;

use proxy_common::addr::{Addr, Family, Port, protocol};
use proxy_common::drop::Stop;
use proxy_common::nat::{Hook, translate, translated};
use proxy_common::packet;
use proxy_common::plain::PlainTables;
use proxy_common::tables::{
    Address, Backend, BackendKey, EndpointSet, FlowKey, FlowRecord, Member, MemberKey, Service, ServiceKey,
    address_flags, backend_flags, member_flags, service_flags,
};
use proxy_common::wire::Tcp;

use super::story::{Ends, Packet, Protocol, Story, node, range};
use super::{Outcome, Subject};

pub(super) struct Plain(PlainTables);

/// Seconds of the clock; a story takes no time.
const NOW: u32 = 1_000;
/// Kubernetes' default.
pub(super) const AFFINITY_TIMEOUT: u32 = 10_800;

impl Subject for Plain {
    fn begin(story: &Story) -> Self {
        let node: Addr = node(story.ipv6).into();
        let mut tables = PlainTables { source: Some(node), ..PlainTables::default() };
        tables.addresses.insert(node, Address { flags: address_flags::NODE | address_flags::NODE_PORT });
        let mut id = 0;
        for service in &story.services {
            for number in [protocol::TCP, protocol::UDP] {
                id += 1;
                put(&mut tables, id, number, service);
                let (network, prefix) = range(story.ipv6);
                tables.source_ranges.push((id, format!("{network}/{prefix}").parse().unwrap()));
            }
        }
        Self(tables)
    }

    fn pass(&mut self, hook: &'static str, packet: Packet) -> Outcome {
        let packet = parsed(packet);
        let hook = match hook {
            "from_pod" => Hook::FromPod,
            "to_pod" => Hook::ToPod,
            "from_uplink" => Hook::FromUplink,
            "to_uplink" => Hook::FromNode,
            other => panic!("no hook {other}"),
        };
        let mut record = FlowRecord::default();
        match translate(&self.0, &self.0, &packet, hook, NOW, &mut record) {
            Ok(()) => {
                let key = translated(&packet.key, &record);
                Outcome::Translated(Ends { src: socket(key.src, key.src_port), dst: socket(key.dst, key.dst_port) })
            }
            Err(Stop::NotOurs) => Outcome::Untouched,
            Err(Stop::Drop(reason)) if reason.is_refusal() => Outcome::Refused,
            Err(Stop::Drop(_)) => Outcome::Dropped,
            Err(Stop::Held | Stop::LeftToConntrack) => unreachable!("no story has fragments or another proxy"),
        }
    }
}

fn put(tables: &mut PlainTables, id: u32, number: u8, service: &super::story::Service) {
    let backends: Vec<Backend> = service
        .endpoints
        .iter()
        .map(|endpoint| Backend {
            addr: endpoint.addr.ip().into(),
            port: Port::new(endpoint.addr.port()),
            flags: if endpoint.local { backend_flags::LOCAL } else { 0 },
        })
        .collect();
    let local: Vec<Backend> = backends.iter().copied().filter(Backend::is_local).collect();
    for (set, list) in [(EndpointSet::Cluster, &backends), (EndpointSet::Local, &local)] {
        for (slot, backend) in (0..).zip(list) {
            tables.backends.insert(BackendKey::new(id, set, slot), *backend);
            let local = if backend.is_local() { member_flags::LOCAL | member_flags::ON_NODE } else { 0 };
            let member = Member { flags: member_flags::CLUSTER | local };
            tables.members.insert(MemberKey::new(id, backend.addr, backend.port), member);
        }
    }
    let counts = (backends.len() as u32, local.len() as u32);
    let affinity_timeout = if service.affinity { AFFINITY_TIMEOUT } else { 0 };
    let entry =
        |flags| Service { id, cluster: counts.0, local: counts.1, flags, affinity_timeout, ..Service::default() };
    let only = |local_only: bool| if local_only { service_flags::LOCAL_ONLY } else { 0 };
    let cluster_ip: Addr = service.cluster_ip.ip().into();
    let key = ServiceKey::new(cluster_ip, Port::new(service.cluster_ip.port()), number);
    tables.serve(key, entry(only(service.internal_local)));
    let key = ServiceKey::new(cluster_ip.family().any(), Port::new(service.node_port), number);
    let external = service_flags::EXTERNAL | service_flags::NODE_PORT | only(service.external_local);
    tables.serve(key, entry(external));
    let ranges = if service.ranges { service_flags::SOURCE_RANGES } else { 0 };
    let key = ServiceKey::new(service.balancer.ip().into(), Port::new(service.balancer.port()), number);
    tables.serve(key, entry(service_flags::EXTERNAL | ranges | only(service.external_local)));
}

fn parsed(packet: Packet) -> packet::Packet {
    let src: Addr = packet.ends.src.ip().into();
    let echo = packet.protocol == Protocol::Echo;
    let port = |socket: SocketAddr| Port::new(if echo { 0 } else { socket.port() });
    packet::Packet {
        key: FlowKey {
            src,
            dst: packet.ends.dst.ip().into(),
            src_port: port(packet.ends.src),
            dst_port: port(packet.ends.dst),
            protocol: u32::from(match packet.protocol {
                Protocol::Tcp => protocol::TCP,
                Protocol::Udp => protocol::UDP,
                Protocol::Echo if src.family() == Family::V4 => protocol::ICMP,
                Protocol::Echo => protocol::ICMPV6,
            }),
        },
        from: src,
        family: src.family(),
        kind: if echo { packet::Kind::Other } else { packet::Kind::Transport },
        tcp_flags: match (packet.protocol, packet.opens) {
            (Protocol::Tcp, true) => Tcp::SYN,
            (Protocol::Tcp, false) => Tcp::ACK,
            (Protocol::Udp | Protocol::Echo, _) => 0,
        },
        ttl: 64,
        checksum: 0,
        l3: 14,
        l4: if src.family() == Family::V4 { 34 } else { 54 },
        inner_l4: 0,
        part: packet::Part::Whole,
        fragment_id: 0,
        fragment_protocol: 0,
    }
}

fn socket(addr: Addr, port: Port) -> SocketAddr {
    SocketAddr::new(addr.into(), port.number())
}
