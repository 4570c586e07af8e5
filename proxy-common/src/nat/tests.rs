//! The life of flows, on plain tables.

mod policy;
mod takeover;

use super::*;
use crate::addr::{Family, Port, protocol};
use crate::packet::{Kind, Part};
use crate::plain::PlainTables;
use crate::tables::{
    Address, Backend, BackendKey, EndpointSet, Member, MemberKey, Service, ServiceKey, address_flags, backend_flags,
    member_flags, service_flags,
};
use crate::wire::Tcp;
use core::net::IpAddr;

const TCP: u8 = protocol::TCP;
const UDP: u8 = protocol::UDP;
const NOW: u32 = 1_000;

fn addr(text: &str) -> Addr {
    text.parse::<IpAddr>().unwrap().into()
}

fn packet(number: u8, src: (&str, u16), dst: (&str, u16), tcp_flags: u8) -> Packet {
    let family = addr(src.0).family();
    Packet {
        key: FlowKey {
            src: addr(src.0),
            dst: addr(dst.0),
            src_port: Port::new(src.1),
            dst_port: Port::new(dst.1),
            protocol: u32::from(number),
        },
        from: addr(src.0),
        family,
        kind: Kind::Transport,
        tcp_flags,
        ttl: 64,
        checksum: 0,
        l3: 14,
        l4: 34,
        inner_l4: 0,
        part: Part::Whole,
        fragment_id: 0,
        fragment_protocol: 0,
    }
}

fn answer_to(record: &FlowRecord, number: u8, tcp_flags: u8) -> Packet {
    Packet { key: record.reply_key(u32::from(number)), ..packet(number, ("10.0.0.1", 1), ("10.0.0.2", 2), tcp_flags) }
}

/// A Service `10.96.0.1:80` with node port 30080 and one endpoint, on the node 192.0.2.11.
fn tables(backend: &str, local: bool, flags: u32) -> PlainTables {
    let mut tables = PlainTables { source: Some(addr("192.0.2.11")), ..PlainTables::default() };
    let node = Address { flags: address_flags::NODE | address_flags::NODE_PORT };
    for address in ["192.0.2.11", "127.0.0.1"] {
        tables.addresses.insert(addr(address), node);
    }
    for number in [TCP, UDP] {
        let id = u32::from(number);
        let service = Service { id, cluster: 1, local: u32::from(local), flags, ..Service::default() };
        tables.serve(ServiceKey::new(addr("10.96.0.1"), Port::new(80), number), Service { flags: 0, ..service });
        tables.serve(
            ServiceKey::new(Family::V4.any(), Port::new(30080), number),
            Service { flags: flags | service_flags::EXTERNAL | service_flags::NODE_PORT, ..service },
        );
        let backend =
            Backend { addr: addr(backend), port: Port::new(8080), flags: if local { backend_flags::LOCAL } else { 0 } };
        tables.backends.insert(BackendKey::new(id, EndpointSet::Cluster, 0), backend);
        if local {
            tables.backends.insert(BackendKey::new(id, EndpointSet::Local, 0), backend);
        }
        let flags = member_flags::CLUSTER | if local { member_flags::LOCAL | member_flags::ON_NODE } else { 0 };
        tables.members.insert(MemberKey::new(id, backend.addr, backend.port), Member { flags });
    }
    tables
}

fn run(tables: &PlainTables, packet: &Packet, hook: Hook, now: u32) -> Result<FlowRecord, Stop> {
    let mut record = FlowRecord::default();
    translate(tables, tables, packet, hook, now, &mut record).map(|()| record)
}

const POD: (&str, u16) = ("10.244.1.20", 40_000);
const CLIENT: (&str, u16) = ("198.51.100.10", 40_000);
const CLUSTER_IP: (&str, u16) = ("10.96.0.1", 80);
const NODE_PORT: (&str, u16) = ("192.0.2.11", 30_080);

#[test]
fn a_pod_keeps_its_address_and_its_reply_is_restored_where_it_leaves_to_the_pod() {
    let tables = tables("10.244.2.10", false, 0);
    let syn = packet(TCP, POD, CLUSTER_IP, Tcp::SYN);
    let there = run(&tables, &syn, Hook::FromPod, NOW).unwrap();
    assert_eq!((there.src, there.dst, there.dst_port), (syn.key.src, addr("10.244.2.10"), Port::new(8080)));

    let reply = answer_to(&there, TCP, Tcp::SYN | Tcp::ACK);
    assert_eq!(run(&tables, &reply, Hook::FromUplink, NOW), Err(Stop::NotOurs));
    let back = run(&tables, &reply, Hook::ToPod, NOW).unwrap();
    assert_eq!((back.src, back.src_port), (addr("10.96.0.1"), Port::new(80)));
    assert_eq!((back.dst, back.dst_port), (syn.key.src, syn.key.src_port));
}

#[test]
fn an_outside_client_is_kept_where_the_backend_is_here() {
    let tables = tables("10.244.1.10", true, 0);
    let there = run(&tables, &packet(UDP, CLIENT, NODE_PORT, 0), Hook::FromUplink, NOW).unwrap();
    assert_eq!((there.src, there.src_port), (addr(CLIENT.0), Port::new(CLIENT.1)));
    let back = run(&tables, &answer_to(&there, UDP, 0), Hook::FromPod, NOW).unwrap();
    assert_eq!((back.src, back.src_port), (addr(NODE_PORT.0), Port::new(NODE_PORT.1)));
}

#[test]
fn an_outside_client_gets_the_nodes_address_where_the_backend_is_elsewhere() {
    let tables = tables("10.244.2.10", false, 0);
    let there = run(&tables, &packet(UDP, CLIENT, NODE_PORT, 0), Hook::FromUplink, NOW).unwrap();
    assert_eq!((there.src, there.src_port), (addr("192.0.2.11"), Port::new(CLIENT.1)));
    let back = run(&tables, &answer_to(&there, UDP, 0), Hook::FromUplink, NOW).unwrap();
    assert_eq!((back.dst, back.dst_port), (addr(CLIENT.0), Port::new(CLIENT.1)));
}

#[test]
fn a_pod_that_reaches_itself_does_not_see_its_own_address() {
    let tables = tables(POD.0, true, 0);
    let there = run(&tables, &packet(TCP, POD, CLUSTER_IP, Tcp::SYN), Hook::FromPod, NOW).unwrap();
    assert_eq!((there.src, there.dst), (addr("192.0.2.11"), addr(POD.0)));
    let back = run(&tables, &answer_to(&there, TCP, Tcp::SYN | Tcp::ACK), Hook::FromPod, NOW).unwrap();
    assert_eq!((back.src, back.dst), (addr("10.96.0.1"), addr(POD.0)));
}

#[test]
fn external_traffic_policy_local_binds_the_outside_only() {
    let tables = tables("10.244.2.10", false, service_flags::LOCAL_ONLY);
    let to_node_port = |src, hook| run(&tables, &packet(UDP, src, NODE_PORT, 0), hook, NOW);
    assert_eq!(to_node_port(CLIENT, Hook::FromUplink), Err(Stop::Drop(Reason::NoLocalEndpoints)));
    assert!(to_node_port(POD, Hook::FromPod).is_ok());
    assert!(to_node_port(("192.0.2.11", 40_000), Hook::FromNode).is_ok());
}

#[test]
fn a_service_without_endpoints_refuses_under_either_policy() {
    for flags in [0, service_flags::LOCAL_ONLY] {
        let mut tables = tables("10.244.2.10", false, flags);
        for service in tables.services.values_mut() {
            service.cluster = 0;
        }
        let refused = run(&tables, &packet(UDP, CLIENT, NODE_PORT, 0), Hook::FromUplink, NOW);
        assert_eq!(refused, Err(Stop::Drop(Reason::NoEndpoints)));
    }
}

#[test]
fn a_segment_of_no_known_connection_is_refused_and_opens_nothing() {
    let tables = tables("10.244.2.10", false, 0);
    let stray = packet(TCP, POD, CLUSTER_IP, Tcp::ACK);
    assert_eq!(run(&tables, &stray, Hook::FromPod, NOW), Err(Stop::Drop(Reason::NoConnection)));
    assert!(tables.flows_new.borrow().is_empty());
}

#[test]
fn what_is_no_service_is_left_alone() {
    let tables = tables("10.244.2.10", false, 0);
    let elsewhere = packet(TCP, POD, ("10.96.0.2", 80), Tcp::SYN);
    assert_eq!(run(&tables, &elsewhere, Hook::FromPod, NOW), Err(Stop::NotOurs));
    // A node port exists on the node's addresses only.
    let other_node = packet(TCP, POD, ("192.0.2.12", 30_080), Tcp::SYN);
    assert_eq!(run(&tables, &other_node, Hook::FromPod, NOW), Err(Stop::NotOurs));
}

/// Opens a TCP flow from [`POD`] and completes its handshake.
fn established(tables: &PlainTables) -> FlowRecord {
    let there = run(tables, &packet(TCP, POD, CLUSTER_IP, Tcp::SYN), Hook::FromPod, NOW).unwrap();
    run(tables, &answer_to(&there, TCP, Tcp::SYN | Tcp::ACK), Hook::ToPod, NOW).unwrap();
    run(tables, &packet(TCP, POD, CLUSTER_IP, Tcp::ACK), Hook::FromPod, NOW).unwrap()
}

#[test]
fn a_flow_moves_out_of_the_floods_reach_when_the_client_goes_on() {
    let tables = tables("10.244.2.10", false, 0);
    run(&tables, &packet(TCP, POD, CLUSTER_IP, Tcp::SYN), Hook::FromPod, NOW).unwrap();
    assert_eq!((tables.flows.borrow().len(), tables.flows_new.borrow().len()), (0, 2));
    established(&tables);
    assert_eq!((tables.flows.borrow().len(), tables.flows_new.borrow().len()), (2, 0));
}

#[test]
fn a_flow_without_room_among_the_established_stays_whole_where_it_is() {
    let mut tables = tables("10.244.2.10", false, 0);
    let syn = packet(TCP, POD, CLUSTER_IP, Tcp::SYN);
    let there = run(&tables, &syn, Hook::FromPod, NOW).unwrap();
    tables.room = Some(0);
    run(&tables, &answer_to(&there, TCP, Tcp::SYN | Tcp::ACK), Hook::ToPod, NOW).unwrap();
    for now in [NOW, NOW + 1] {
        assert_eq!(run(&tables, &packet(TCP, POD, CLUSTER_IP, Tcp::ACK), Hook::FromPod, now).unwrap().dst, there.dst);
        assert_eq!((tables.flows.borrow().len(), tables.flows_new.borrow().len()), (0, 2));
    }
    tables.room = None;
    run(&tables, &packet(TCP, POD, CLUSTER_IP, Tcp::ACK), Hook::FromPod, NOW + 2).unwrap();
    assert_eq!((tables.flows.borrow().len(), tables.flows_new.borrow().len()), (2, 0));
}

#[test]
fn either_half_of_a_flow_brings_back_the_other() {
    let tables = tables("10.244.2.10", false, 0);
    let record = established(&tables);
    let forward = packet(TCP, POD, CLUSTER_IP, Tcp::ACK);
    let reply = answer_to(&record, TCP, Tcp::ACK);

    tables.flows.borrow_mut().remove(&reply.key);
    run(&tables, &forward, Hook::FromPod, NOW + 1).unwrap();
    assert_eq!(run(&tables, &reply, Hook::ToPod, NOW + 1).unwrap().dst, forward.key.src);

    tables.flows.borrow_mut().remove(&forward.key);
    run(&tables, &reply, Hook::ToPod, NOW + 2).unwrap();
    assert_eq!(run(&tables, &forward, Hook::FromPod, NOW + 2).unwrap().dst, record.dst);
}

#[test]
fn a_removed_backend_keeps_its_connection_and_loses_its_datagrams() {
    let mut tables = tables("10.244.2.10", false, 0);
    established(&tables);
    let datagram = packet(UDP, POD, CLUSTER_IP, 0);
    run(&tables, &datagram, Hook::FromPod, NOW).unwrap();

    let fresh = Backend { addr: addr("10.244.2.11"), port: Port::new(8080), flags: 0 };
    tables.members.clear();
    for number in [TCP, UDP] {
        tables.backends.insert(BackendKey::new(u32::from(number), EndpointSet::Cluster, 0), fresh);
        tables
            .members
            .insert(MemberKey::new(u32::from(number), fresh.addr, fresh.port), Member { flags: member_flags::CLUSTER });
    }
    tables.epoch += 1;
    let segment = run(&tables, &packet(TCP, POD, CLUSTER_IP, Tcp::ACK), Hook::FromPod, NOW).unwrap();
    assert_eq!(segment.dst, addr("10.244.2.10"));
    assert_eq!(run(&tables, &datagram, Hook::FromPod, NOW).unwrap().dst, fresh.addr);
}

#[test]
fn s7_5_a_removed_service_loses_its_datagrams_and_no_connection() {
    let mut tables = tables("10.244.2.10", false, 0);
    established(&tables);
    let datagram = packet(UDP, POD, CLUSTER_IP, 0);
    run(&tables, &datagram, Hook::FromPod, NOW).unwrap();
    let segment = packet(TCP, POD, CLUSTER_IP, Tcp::ACK);

    tables.members.clear();
    tables.backends.clear();
    tables.epoch += 1;
    for service in tables.services.values_mut() {
        service.cluster = 0;
    }
    assert_eq!(run(&tables, &datagram, Hook::FromPod, NOW), Err(Stop::Drop(Reason::NoEndpoints)));
    assert_eq!(run(&tables, &segment, Hook::FromPod, NOW).unwrap().dst, addr("10.244.2.10"));

    tables.services.clear();
    tables.addresses.clear();
    assert_eq!(run(&tables, &datagram, Hook::FromPod, NOW), Err(Stop::NotOurs));
    assert_eq!(run(&tables, &segment, Hook::FromPod, NOW).unwrap().dst, addr("10.244.2.10"));
}

#[test]
fn s7_17_no_state_of_a_connection_keeps_a_reply_from_being_translated() {
    let everything = Tcp::FIN | Tcp::SYN | Tcp::RST | Tcp::ACK;
    for by_client in (0..=everything).filter(|flags| flags & !everything == 0 && *flags != Tcp::SYN) {
        let tables = tables("10.244.2.10", false, 0);
        let record = established(&tables);
        run(&tables, &packet(TCP, POD, CLUSTER_IP, by_client), Hook::FromPod, NOW).unwrap();
        for by_backend in (0..=everything).filter(|flags| flags & !everything == 0) {
            let back = run(&tables, &answer_to(&record, TCP, by_backend), Hook::ToPod, NOW).unwrap();
            assert_eq!((back.src, back.dst), (addr(CLUSTER_IP.0), addr(POD.0)), "{by_client} {by_backend}");
        }
    }
}

#[test]
fn s5_3_packets_of_a_connection_do_not_extend_affinity() {
    let mut tables = tables("10.244.2.10", false, 0);
    tables.services.values_mut().for_each(|service| service.affinity_timeout = 60);
    established(&tables);
    let last_used = |tables: &PlainTables| tables.affinity.borrow().values().map(|it| it.last_used).max();
    assert_eq!(last_used(&tables), Some(NOW));
    run(&tables, &packet(TCP, POD, CLUSTER_IP, Tcp::ACK), Hook::FromPod, NOW + 30).unwrap();
    assert_eq!(last_used(&tables), Some(NOW));
    run(&tables, &packet(TCP, (POD.0, POD.1 + 1), CLUSTER_IP, Tcp::SYN), Hook::FromPod, NOW + 40).unwrap();
    assert_eq!(last_used(&tables), Some(NOW + 40));
}

#[test]
fn another_backends_leaving_does_not_disturb_datagrams() {
    let mut tables = tables("10.244.2.10", false, 0);
    let datagram = packet(UDP, POD, CLUSTER_IP, 0);
    let before = run(&tables, &datagram, Hook::FromPod, NOW).unwrap();
    tables.epoch += 1;
    let after = run(&tables, &datagram, Hook::FromPod, NOW).unwrap();
    assert_eq!(before.dst, after.dst);
}

#[test]
fn a_port_used_again_after_close_reaches_a_live_backend() {
    let mut tables = tables("10.244.2.10", false, 0);
    let record = established(&tables);
    run(&tables, &packet(TCP, POD, CLUSTER_IP, Tcp::FIN | Tcp::ACK), Hook::FromPod, NOW).unwrap();
    run(&tables, &answer_to(&record, TCP, Tcp::FIN | Tcp::ACK), Hook::ToPod, NOW).unwrap();
    let fresh = Backend { addr: addr("10.244.2.11"), port: Port::new(8080), flags: 0 };
    tables.backends.insert(BackendKey::new(u32::from(TCP), EndpointSet::Cluster, 0), fresh);
    let again = run(&tables, &packet(TCP, POD, CLUSTER_IP, Tcp::SYN), Hook::FromPod, NOW + 1).unwrap();
    assert_eq!(again.dst, fresh.addr);
}

#[test]
fn two_flows_to_one_backend_are_told_apart_by_their_source_port() {
    let mut tables = tables("10.244.2.10", false, 0);
    let second = ServiceKey::new(addr("10.96.0.2"), Port::new(80), TCP);
    let service = tables.services[&ServiceKey::new(addr(CLUSTER_IP.0), Port::new(80), TCP)];
    tables.serve(second, service);
    let first = run(&tables, &packet(TCP, POD, CLUSTER_IP, Tcp::SYN), Hook::FromPod, NOW).unwrap();
    let other = run(&tables, &packet(TCP, POD, ("10.96.0.2", 80), Tcp::SYN), Hook::FromPod, NOW).unwrap();
    assert_eq!((first.dst, first.src, first.src_port), (other.dst, other.src, Port::new(POD.1)));
    assert_ne!(first.src_port, other.src_port);
    for (record, vip) in [(first, "10.96.0.1"), (other, "10.96.0.2")] {
        let back = run(&tables, &answer_to(&record, TCP, Tcp::SYN | Tcp::ACK), Hook::ToPod, NOW).unwrap();
        assert_eq!((back.src, back.dst_port), (addr(vip), Port::new(POD.1)));
    }
}

#[test]
fn source_translation_never_takes_a_port_of_the_nodes_own_sockets() {
    let mut tables = tables("10.244.2.10", false, 0);
    tables.sockets.insert(FlowKey {
        src: addr("10.244.2.10"),
        dst: addr("192.0.2.11"),
        src_port: Port::new(8080),
        dst_port: Port::new(CLIENT.1),
        protocol: u32::from(TCP),
    });
    let there = run(&tables, &packet(TCP, CLIENT, NODE_PORT, Tcp::SYN), Hook::FromUplink, NOW).unwrap();
    assert_ne!(there.src_port, Port::new(CLIENT.1));
}

#[test]
fn a_pods_new_flow_does_not_take_the_port_of_its_own_connection_to_the_endpoint() {
    let mut tables = tables("10.244.2.10", false, 0);
    tables.sockets.insert(packet(TCP, ("10.244.2.10", 8080), POD, 0).key);
    let there = run(&tables, &packet(TCP, POD, CLUSTER_IP, Tcp::SYN), Hook::FromPod, NOW).unwrap();
    assert_eq!(there.src, addr(POD.0));
    assert_ne!(there.src_port, Port::new(POD.1));
}

#[test]
fn a_connection_past_the_service_is_told_from_the_one_through_it() {
    for (src, hook, back_at) in [
        (POD, Hook::FromPod, Hook::ToPod),
        (("192.0.2.11", 40_000), Hook::FromNode, Hook::FromUplink),
        (("192.0.2.11", 40_000), Hook::FromNodeToPod, Hook::FromPod),
    ] {
        let tables = tables("10.244.2.10", true, 0);
        let through_at = if hook == Hook::FromNodeToPod { Hook::FromNode } else { hook };
        let through = run(&tables, &packet(TCP, src, CLUSTER_IP, Tcp::SYN), through_at, NOW).unwrap();
        let direct = packet(TCP, src, ("10.244.2.10", 8080), Tcp::SYN);
        let past = run(&tables, &direct, hook, NOW).unwrap();
        assert_eq!((past.src, past.dst, past.dst_port), (direct.key.src, direct.key.dst, direct.key.dst_port));
        assert_ne!(past.src_port, through.src_port);
        for (record, from) in [(through, addr(CLUSTER_IP.0)), (past, addr("10.244.2.10"))] {
            let back = run(&tables, &answer_to(&record, TCP, Tcp::SYN | Tcp::ACK), back_at, NOW).unwrap();
            assert_eq!((back.src, back.dst_port), (from, Port::new(src.1)));
        }
        // The flow goes on under the port it got.
        let more = run(&tables, &Packet { tcp_flags: Tcp::ACK, ..direct }, hook, NOW).unwrap();
        assert_eq!(more.src_port, past.src_port);
    }
}

#[test]
fn a_connection_past_the_service_takes_the_place_of_one_through_it_that_is_over() {
    let tables = tables("10.244.2.10", false, 0);
    let record = established(&tables);
    run(&tables, &packet(TCP, POD, CLUSTER_IP, Tcp::FIN | Tcp::ACK), Hook::FromPod, NOW).unwrap();
    run(&tables, &answer_to(&record, TCP, Tcp::FIN | Tcp::ACK), Hook::ToPod, NOW).unwrap();
    let direct = packet(TCP, POD, ("10.244.2.10", 8080), Tcp::SYN);
    assert_eq!(run(&tables, &direct, Hook::FromPod, NOW), Err(Stop::NotOurs));
    let reply = Packet { key: direct.key.reversed(), tcp_flags: Tcp::SYN | Tcp::ACK, ..direct };
    assert_eq!(run(&tables, &reply, Hook::ToPod, NOW), Err(Stop::NotOurs));
}

#[test]
fn datagrams_past_the_service_keep_their_port_whatever_endpoint_leaves() {
    let mut tables = tables("10.244.2.10", false, 0);
    run(&tables, &packet(UDP, POD, CLUSTER_IP, 0), Hook::FromPod, NOW).unwrap();
    let direct = packet(UDP, POD, ("10.244.2.10", 8080), 0);
    let before = run(&tables, &direct, Hook::FromPod, NOW).unwrap();
    tables.epoch += 1;
    assert_eq!(run(&tables, &direct, Hook::FromPod, NOW).unwrap().src_port, before.src_port);
}

#[test]
fn an_error_goes_the_way_of_the_flow_it_is_about() {
    let tables = tables("10.244.2.10", false, 0);
    let record = established(&tables);
    // What a router says about the packet to the backend travels as the backend's reply would.
    let error = Packet { kind: Kind::IcmpError, ..answer_to(&record, TCP, 0) };
    let back = run(&tables, &error, Hook::ToPod, NOW).unwrap();
    assert_eq!((back.src, back.dst), (addr(CLUSTER_IP.0), addr(POD.0)));
    // An error about nothing we know opens nothing.
    let stray = Packet { kind: Kind::IcmpError, ..packet(TCP, POD, NODE_PORT, 0) };
    assert_eq!(run(&tables, &stray, Hook::FromPod, NOW), Err(Stop::NotOurs));
}

#[test]
fn a_full_table_refuses_the_flow_whole() {
    for room in [0, 1] {
        let mut tables = tables("10.244.2.10", false, 0);
        tables.room = Some(room);
        let full = run(&tables, &packet(TCP, POD, CLUSTER_IP, Tcp::SYN), Hook::FromPod, NOW);
        assert_eq!(full, Err(Stop::Drop(Reason::FlowTableFull)));
        assert!(tables.flows_new.borrow().is_empty());
    }
}

#[test]
fn a_flow_of_datagrams_lives_while_either_end_sends() {
    let mut tables = tables("10.244.2.10", false, 0);
    let ask = packet(UDP, POD, CLUSTER_IP, 0);
    let there = run(&tables, &ask, Hook::FromPod, NOW).unwrap();
    for second in (0..=200).step_by(20) {
        run(&tables, &answer_to(&there, UDP, 0), Hook::ToPod, NOW + second).unwrap();
    }
    let fresh = Backend { addr: addr("10.244.2.11"), port: Port::new(8080), flags: 0 };
    tables.backends.insert(BackendKey::new(u32::from(UDP), EndpointSet::Cluster, 0), fresh);
    assert_eq!(run(&tables, &ask, Hook::FromPod, NOW + 201).unwrap().dst, there.dst);
    // Once neither end was heard for long enough, a datagram begins another flow.
    assert_eq!(run(&tables, &ask, Hook::FromPod, NOW + 1_000).unwrap().dst, fresh.addr);
}

#[test]
fn no_source_port_is_taken_from_a_client_that_sends_without_an_answer() {
    let tables = tables("10.244.2.10", false, 0);
    let log = packet(UDP, CLIENT, NODE_PORT, 0);
    for second in (0..=60).step_by(20) {
        run(&tables, &log, Hook::FromUplink, NOW + second).unwrap();
    }
    let other = packet(UDP, ("198.51.100.11", CLIENT.1), NODE_PORT, 0);
    let there = run(&tables, &other, Hook::FromUplink, NOW + 61).unwrap();
    assert_ne!(there.src_port, Port::new(CLIENT.1));
    assert_eq!(run(&tables, &log, Hook::FromUplink, NOW + 62).unwrap().src_port, Port::new(CLIENT.1));
}

#[test]
fn a_backend_that_is_the_node_itself_needs_no_route_and_no_other_source() {
    // The endpoints of the Service "kubernetes" name no node, so they aren't marked local.
    let mut tables = tables(NODE_PORT.0, false, 0);
    tables.source = None;
    for (src, hook) in [(CLIENT, Hook::FromUplink), (("192.0.2.11", 40_000), Hook::FromNode), (POD, Hook::FromPod)] {
        let there = run(&tables, &packet(TCP, src, CLUSTER_IP, Tcp::SYN), hook, NOW).unwrap();
        assert_eq!((there.src, there.dst), (addr(src.0), addr(NODE_PORT.0)));
        assert_ne!(there.flags & flow_flags::BACKEND_IS_NODE, 0);
    }
}

#[test]
fn a_packet_with_an_address_of_the_node_as_source_that_it_did_not_send_opens_nothing_and_is_told_nothing() {
    for endpoints in [0, 1] {
        let mut tables = tables("10.244.1.10", true, 0);
        tables.services.values_mut().for_each(|service| service.cluster = endpoints);
        for (forged, hook) in
            [("192.0.2.11", Hook::FromUplink), ("127.0.0.1", Hook::FromUplink), ("192.0.2.11", Hook::FromPod)]
        {
            let packet = packet(UDP, (forged, 40_000), NODE_PORT, 0);
            assert_eq!(run(&tables, &packet, hook, NOW), Err(Stop::NotOurs));
        }
        assert!(tables.flows_new.borrow().is_empty());
    }
}

#[test]
fn what_a_pod_forged_in_an_outside_clients_name_does_not_stand_in_its_way() {
    let tables = tables("10.244.2.10", false, 0);
    let syn = packet(TCP, CLIENT, NODE_PORT, Tcp::SYN);
    run(&tables, &syn, Hook::FromPod, NOW).unwrap();
    let there = run(&tables, &syn, Hook::FromUplink, NOW).unwrap();
    assert_eq!(there.src, addr("192.0.2.11"));
    let back = run(&tables, &answer_to(&there, TCP, Tcp::SYN | Tcp::ACK), Hook::FromUplink, NOW).unwrap();
    assert_eq!((back.src, back.dst), (syn.key.dst, syn.key.src));
}

#[test]
fn a_connection_that_is_established_is_not_ended_by_what_a_pod_forges() {
    let tables = tables("10.244.2.10", false, 0);
    let packet = |flags| packet(TCP, CLIENT, NODE_PORT, flags);
    let there = run(&tables, &packet(Tcp::SYN), Hook::FromUplink, NOW).unwrap();
    run(&tables, &answer_to(&there, TCP, Tcp::SYN | Tcp::ACK), Hook::FromUplink, NOW).unwrap();
    run(&tables, &packet(Tcp::ACK), Hook::FromUplink, NOW).unwrap();
    run(&tables, &packet(Tcp::SYN), Hook::FromPod, NOW).unwrap();
    assert_eq!(run(&tables, &packet(Tcp::ACK), Hook::FromUplink, NOW).unwrap().src_port, there.src_port);
    assert!(run(&tables, &answer_to(&there, TCP, Tcp::ACK), Hook::FromUplink, NOW).is_ok());
}

#[test]
fn a_connection_of_the_nodes_own_from_a_node_port_is_left_to_it() {
    let mut tables = tables("10.244.2.10", false, 0);
    let answer = packet(TCP, ("203.0.113.1", 443), NODE_PORT, Tcp::SYN | Tcp::ACK);
    assert_eq!(run(&tables, &answer, Hook::FromUplink, NOW), Err(Stop::Drop(Reason::NoConnection)));
    tables.sockets.insert(answer.key);
    assert_eq!(run(&tables, &answer, Hook::FromUplink, NOW), Err(Stop::NotOurs));
}

#[test]
fn a_node_port_on_loopback_is_served_under_an_address_that_others_know() {
    for (backend, local) in [("10.244.2.10", false), ("10.244.1.10", true)] {
        let tables = tables(backend, local, 0);
        let syn = packet(TCP, ("127.0.0.1", 40_000), ("127.0.0.1", 30_080), Tcp::SYN);
        let there = run(&tables, &syn, Hook::FromNode, NOW).unwrap();
        assert_eq!((there.src, there.dst), (addr("192.0.2.11"), addr(backend)));
        let hook = if local { Hook::FromPod } else { Hook::FromUplink };
        let back = run(&tables, &answer_to(&there, TCP, Tcp::SYN | Tcp::ACK), hook, NOW).unwrap();
        assert_eq!((back.src, back.dst, back.src_port), (syn.key.dst, syn.key.src, syn.key.dst_port));
    }
}
