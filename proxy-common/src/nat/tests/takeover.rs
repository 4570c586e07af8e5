//! Connections that another proxy began and conntrack translates.

use super::policy::{allow, policed};
use super::*;
use crate::tables::Policing;

const LEFT: Result<FlowRecord, Stop> = Err(Stop::LeftToConntrack);
const REFUSED: Result<FlowRecord, Stop> = Err(Stop::Drop(Reason::NoConnection));

fn taking_over(mut tables: PlainTables) -> PlainTables {
    tables.is_taking_over = true;
    tables
}

#[test]
fn segments_of_unknown_connections_are_left_to_conntrack_while_it_translates_some() {
    let after = tables("10.244.2.10", false, 0);
    let during = taking_over(tables("10.244.2.10", false, 0));
    for (hook, src, dst) in
        [(Hook::FromPod, POD, CLUSTER_IP), (Hook::FromUplink, CLIENT, NODE_PORT), (Hook::FromPod, POD, NODE_PORT)]
    {
        for flags in [Tcp::ACK, Tcp::FIN | Tcp::ACK, Tcp::RST, Tcp::SYN | Tcp::ACK] {
            let segment = packet(TCP, src, dst, flags);
            assert_eq!(run(&during, &segment, hook, NOW), LEFT, "{hook:?}");
            assert_eq!(run(&after, &segment, hook, NOW), REFUSED, "{hook:?}");
        }
    }
    assert!(during.flows_new.borrow().is_empty());
}

#[test]
fn new_connections_and_datagrams_are_served_meanwhile_and_their_segments_too() {
    let tables = taking_over(tables("10.244.2.10", false, 0));
    for number in [TCP, UDP] {
        let flags = if number == TCP { Tcp::SYN } else { 0 };
        let there = run(&tables, &packet(number, POD, CLUSTER_IP, flags), Hook::FromPod, NOW).unwrap();
        assert_eq!(there.dst, addr("10.244.2.10"));
        run(&tables, &packet(number, POD, CLUSTER_IP, Tcp::ACK), Hook::FromPod, NOW).unwrap();
    }
}

#[test]
fn while_the_other_proxy_has_what_begins_only_flows_that_run_are_served() {
    let mut tables = tables("10.244.2.10", false, 0);
    let begin = |tables: &PlainTables, number, from| {
        let flags = if number == TCP { Tcp::SYN } else { 0 };
        run(tables, &packet(number, ("10.244.1.10", from), CLUSTER_IP, flags), Hook::FromPod, NOW)
    };
    begin(&tables, TCP, 40_000).unwrap();
    tables.is_taking_over = true;
    tables.leaves_new_flows = true;
    let records = tables.flows_new.borrow().len();
    for number in [TCP, UDP] {
        assert_eq!(begin(&tables, number, 50_000), LEFT);
    }
    assert_eq!(run(&tables, &packet(TCP, CLIENT, NODE_PORT, Tcp::SYN), Hook::FromUplink, NOW), LEFT);
    assert_eq!(tables.flows_new.borrow().len(), records);
    let runs = packet(TCP, ("10.244.1.10", 40_000), CLUSTER_IP, Tcp::ACK);
    assert_eq!(run(&tables, &runs, Hook::FromPod, NOW).unwrap().dst, addr("10.244.2.10"));
}

#[test]
fn what_the_node_sends_was_translated_before_so_it_is_refused_still() {
    let tables = taking_over(tables("10.244.2.10", false, 0));
    assert_eq!(run(&tables, &packet(TCP, ("192.0.2.11", 40_000), CLUSTER_IP, Tcp::ACK), Hook::FromNode, NOW), REFUSED);
}

#[test]
fn no_policy_is_passed_by_a_connection_is_judged_as_what_conntrack_makes_of_it() {
    let both = Policing { egress: 8, ingress: 7, ..Policing::default() };
    let mut tables = taking_over(policed("10.244.2.10", false, both));
    let (client, backend) = (POD, ("10.244.2.10", 8_080));
    let there = packet(TCP, client, CLUSTER_IP, Tcp::ACK);
    assert_eq!(run(&tables, &there, Hook::FromPod, NOW), LEFT, "which endpoint it goes to isn't known here");
    let translated = packet(TCP, client, backend, Tcp::ACK);
    let denied = Err(Stop::Drop(Reason::PolicyEgress));
    assert_eq!(run(&tables, &translated, Hook::Passing, NOW), denied, "where it leaves, it is");
    let answer = packet(TCP, backend, client, Tcp::ACK);
    assert_eq!(run(&tables, &answer, Hook::FromUplink, NOW), LEFT, "the client's socket knows the Service alone");
    let restored = packet(TCP, CLUSTER_IP, client, Tcp::ACK);
    assert_eq!(run(&tables, &restored, Hook::ToPod, NOW), Err(Stop::Drop(Reason::PolicyIngress)), "a forged one");
    tables.tcp_ends.insert(restored.key, TcpEnd::Client);
    allow(&mut tables, 8, TCP, 80);
    assert_eq!(run(&tables, &restored, Hook::ToPod, NOW), Err(Stop::NotOurs), "the pod's own connection's");
    let syn = packet(TCP, backend, client, Tcp::SYN);
    assert_eq!(run(&tables, &syn, Hook::FromUplink, NOW), Err(Stop::Drop(Reason::PolicyIngress)), "who begins anew");
}
