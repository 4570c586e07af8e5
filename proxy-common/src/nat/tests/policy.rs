//! Flows under policies.

use super::*;
use crate::policy::EVERYBODY;
use crate::tables::{Identity, PodNetwork, Policing, Rule, RuleKey, identity_flags, pod_network_flags};

const PEER: (&str, u16) = ("10.244.1.30", 50_000);
const SERVER: (&str, u16) = ("10.244.2.10", 8_080);
const SYN_ACK: u8 = Tcp::SYN | Tcp::ACK;

const EGRESS: u32 = 8;
const INGRESS: u32 = 7;

/// The tables of [`super::tables`] with two pods of the node, [`POD`] and [`PEER`]; policies isolate the first.
pub(super) fn policed(backend: &str, local: bool, policing: Policing) -> PlainTables {
    let mut tables = tables(backend, local, 0);
    tables.pod_network = PodNetwork { flags: pod_network_flags::POLICED, ..PodNetwork::default() };
    tables.generation = 1;
    isolate(&mut tables, POD.0, 5, policing);
    isolate(&mut tables, PEER.0, 6, Policing::default());
    tables
}

fn isolate(tables: &mut PlainTables, pod: &str, ifindex: u32, policing: Policing) {
    let identity = Identity { flags: identity_flags::LOCAL, ifindex, next: policing, ..Identity::default() };
    tables.identities.insert(addr(pod), identity);
}

pub(super) fn allow(tables: &mut PlainTables, set: u32, protocol: u8, port: u16) {
    let key = RuleKey { set, class: EVERYBODY, protocol: protocol.into(), port: Port::new(port) };
    tables.rules.insert((key, RuleKey::BITS), Rule { policy: 1, index: 0 });
}

fn only_egress() -> Policing {
    Policing { egress: EGRESS, ..Policing::default() }
}

fn only_ingress() -> Policing {
    Policing { ingress: INGRESS, ..Policing::default() }
}

fn flows(tables: &PlainTables) -> (usize, usize) {
    (tables.flows.borrow().len(), tables.flows_new.borrow().len())
}

/// What becomes of a packet: `Ok` when it passes, translated or not.
fn passes(tables: &PlainTables, packet: &Packet, hook: Hook) -> Result<(), Reason> {
    match run(tables, packet, hook, NOW) {
        Ok(_) | Err(Stop::NotOurs) => Ok(()),
        Err(Stop::Drop(reason)) => Err(reason),
        Err(Stop::Held | Stop::LeftToConntrack) => unreachable!(),
    }
}

fn icmp(src: &str, dst: &str) -> Packet {
    let packet = packet(protocol::ICMP, (src, 0), (dst, 0), 0);
    Packet { kind: Kind::Other, ..packet }
}

#[test]
fn an_allowed_flow_is_remembered_so_that_its_replies_pass_and_a_denied_one_is_not() {
    for number in [TCP, UDP] {
        let (syn, syn_ack, ack) = if number == TCP { (Tcp::SYN, SYN_ACK, Tcp::ACK) } else { (0, 0, 0) };
        let both = Policing { egress: EGRESS, ingress: INGRESS, ..Policing::default() };
        let mut tables = policed("10.244.9.9", false, both);
        let ask = packet(number, POD, SERVER, syn);
        let answer = packet(number, SERVER, POD, syn_ack);
        assert_eq!(passes(&tables, &ask, Hook::FromPod), Err(Reason::PolicyEgress));
        assert_eq!(passes(&tables, &answer, Hook::FromUplink), Err(Reason::PolicyIngress));
        assert_eq!(flows(&tables), (0, 0));
        allow(&mut tables, EGRESS, number, SERVER.1);
        assert_eq!(run(&tables, &ask, Hook::FromPod, NOW), Err(Stop::NotOurs));
        assert_eq!(run(&tables, &answer, Hook::FromUplink, NOW), Err(Stop::NotOurs));
        assert_eq!(flows(&tables), (0, 2));
        passes(&tables, &packet(number, POD, SERVER, ack), Hook::FromPod).unwrap();
        assert_eq!(flows(&tables), (2, 0), "established");
    }
}

#[test]
fn a_client_that_was_there_before_its_service_is_served_as_soon_as_that_is() {
    for (number, flags) in [(TCP, Tcp::SYN), (UDP, 0)] {
        let mut tables = policed(SERVER.0, false, only_egress());
        for port in [CLUSTER_IP.1, SERVER.1] {
            allow(&mut tables, EGRESS, number, port);
        }
        let frontend = tables.addresses.remove(&addr(CLUSTER_IP.0)).unwrap();
        let ask = packet(number, POD, CLUSTER_IP, flags);
        assert_eq!(run(&tables, &ask, Hook::FromPod, NOW), Err(Stop::NotOurs));
        tables.addresses.insert(addr(CLUSTER_IP.0), frontend);
        let served = run(&tables, &ask, Hook::FromPod, NOW + 1).unwrap();
        assert_eq!(served.dst, addr(SERVER.0));
        assert_eq!(run(&tables, &ask, Hook::FromPod, NOW + 2).unwrap().dst, served.dst);
    }
}

#[test]
fn an_unpoliced_pod_leaves_no_record() {
    let tables = policed("10.244.9.9", false, only_egress());
    for (packet, hook) in [
        (packet(UDP, PEER, SERVER, 0), Hook::FromPod),
        (packet(UDP, SERVER, PEER, 0), Hook::FromUplink),
        (icmp(PEER.0, SERVER.0), Hook::FromPod),
    ] {
        passes(&tables, &packet, hook).unwrap();
    }
    assert_eq!(flows(&tables), (0, 0));
}

#[test]
fn without_policies_nothing_is_looked_up_nor_remembered() {
    let mut tables = policed("10.244.9.9", false, only_egress());
    tables.pod_network.flags = 0;
    passes(&tables, &packet(UDP, POD, SERVER, 0), Hook::FromPod).unwrap();
    assert_eq!(flows(&tables), (0, 0));
}

#[test]
fn a_ping_and_its_reply_pass_as_one_flow() {
    let mut tables = policed("10.244.9.9", false, Policing { egress: EGRESS, ingress: INGRESS, ..Policing::default() });
    let key = RuleKey { set: EGRESS, ..RuleKey::default() };
    tables.rules.insert((key, RuleKey::ANY_PROTOCOL), Rule { policy: 1, index: 0 });
    assert_eq!(passes(&tables, &icmp(SERVER.0, POD.0), Hook::FromUplink), Err(Reason::PolicyIngress));
    passes(&tables, &icmp(POD.0, SERVER.0), Hook::FromPod).unwrap();
    passes(&tables, &icmp(SERVER.0, POD.0), Hook::FromUplink).unwrap();
    // An error about it has the flow's own key.
    let error = Packet { kind: Kind::IcmpError, ..icmp(SERVER.0, POD.0) };
    passes(&tables, &error, Hook::FromUplink).unwrap();
}

#[test]
fn an_error_about_no_flow_is_judged_as_what_it_would_answer() {
    let tables = policed("10.244.9.9", false, only_ingress());
    let error = Packet { kind: Kind::IcmpError, ..packet(UDP, SERVER, POD, 0) };
    assert_eq!(passes(&tables, &error, Hook::FromUplink), Err(Reason::PolicyIngress));
    passes(&tables, &packet(UDP, POD, SERVER, 0), Hook::FromPod).unwrap();
    passes(&tables, &error, Hook::FromUplink).unwrap();
}

#[test]
fn a_running_flow_obeys_a_changed_policy_from_its_next_packet_in_either_direction_and_resumes() {
    let mut tables = policed("10.244.9.9", false, only_ingress());
    let ask = packet(TCP, SERVER, (POD.0, 80), Tcp::ACK);
    let answer = packet(TCP, (POD.0, 80), SERVER, Tcp::ACK);
    allow(&mut tables, INGRESS, TCP, 80);
    passes(&tables, &Packet { tcp_flags: Tcp::SYN, ..ask }, Hook::FromUplink).unwrap();
    for (packet, hook) in [(&answer, Hook::FromPod), (&ask, Hook::FromUplink)] {
        passes(&tables, packet, hook).unwrap();
    }
    assert_eq!(flows(&tables), (2, 0));
    let rules = core::mem::take(&mut tables.rules);
    passes(&tables, &ask, Hook::FromUplink).unwrap();
    tables.generation += 1;
    assert_eq!(passes(&tables, &answer, Hook::FromPod), Err(Reason::PolicyIngress));
    assert_eq!(passes(&tables, &ask, Hook::FromUplink), Err(Reason::PolicyIngress));
    tables.rules = rules;
    tables.generation += 1;
    passes(&tables, &answer, Hook::FromPod).unwrap();
    passes(&tables, &ask, Hook::FromUplink).unwrap();
    assert!(tables.flows.borrow().values().all(|entry| entry.record().policy == tables.generation));
}

#[test]
fn a_services_flow_is_judged_by_the_client_and_the_endpoint_behind_it() {
    // The policed pod is the endpoint; it lets in port 8080, which is no frontend's.
    for (client, hook, frontend) in [(CLIENT, Hook::FromUplink, NODE_PORT), (PEER, Hook::FromPod, CLUSTER_IP)] {
        let mut tables = policed(POD.0, true, only_ingress());
        let syn = packet(TCP, client, frontend, Tcp::SYN);
        assert_eq!(run(&tables, &syn, hook, NOW), Err(Stop::Drop(Reason::PolicyIngress)));
        assert_eq!(flows(&tables), (0, 0));
        allow(&mut tables, INGRESS, TCP, 8_080);
        let there = run(&tables, &syn, hook, NOW).unwrap();
        assert_eq!((there.dst, there.policy), (addr(POD.0), tables.generation));
        // A change is noticed in either direction: here by the reply, whose client is still known.
        tables.rules.clear();
        tables.generation += 1;
        let answer = answer_to(&there, TCP, SYN_ACK);
        assert_eq!(passes(&tables, &answer, Hook::FromPod), Err(Reason::PolicyIngress));
        assert_eq!(passes(&tables, &Packet { tcp_flags: Tcp::ACK, ..syn }, hook), Err(Reason::PolicyIngress));
    }
}

#[test]
fn a_client_whose_source_is_translated_is_judged_by_its_own_address() {
    let mut tables = policed(POD.0, true, only_egress());
    isolate(&mut tables, POD.0, 5, Policing { egress: EGRESS, ingress: INGRESS, ..Policing::default() });
    // A pod that reaches itself through a Service, under the node's address.
    let there = run(&tables, &packet(TCP, POD, CLUSTER_IP, Tcp::SYN), Hook::FromPod, NOW).unwrap();
    assert_eq!(there.src, addr("192.0.2.11"));
    tables.generation += 1;
    run(&tables, &answer_to(&there, TCP, SYN_ACK), Hook::FromPod, NOW).unwrap();
}

#[test]
fn the_node_reaches_its_pods_through_services_and_is_answered() {
    let tables = policed(POD.0, true, Policing { egress: EGRESS, ingress: INGRESS, ..Policing::default() });
    let node = ("192.0.2.11", 40_000);
    let there = run(&tables, &packet(TCP, node, CLUSTER_IP, Tcp::SYN), Hook::FromNode, NOW).unwrap();
    run(&tables, &answer_to(&there, TCP, SYN_ACK), Hook::FromPod, NOW).unwrap();
    // Directly, too.
    passes(&tables, &packet(TCP, node, (POD.0, 80), Tcp::SYN), Hook::FromNodeToPod).unwrap();
    passes(&tables, &packet(TCP, (POD.0, 80), node, SYN_ACK), Hook::FromPod).unwrap();
    let forged = packet(TCP, node, (POD.0, 80), Tcp::SYN);
    assert_eq!(passes(&tables, &forged, Hook::FromUplink), Err(Reason::PolicyIngress));
}

#[test]
fn what_leaves_to_a_pod_unjudged_is_judged_there_and_by_its_flow() {
    let mut tables = policed(POD.0, true, only_ingress());
    allow(&mut tables, INGRESS, TCP, 8_080);
    let there = run(&tables, &packet(TCP, PEER, CLUSTER_IP, Tcp::SYN), Hook::FromPod, NOW).unwrap();
    let arriving =
        Packet { key: translated(&packet(TCP, PEER, CLUSTER_IP, 0).key, &there), ..packet(TCP, PEER, POD, Tcp::SYN) };
    passes(&tables, &arriving, Hook::ToPod).unwrap();
    assert_eq!(flows(&tables), (0, 2), "the Service's flow stands for it");
    tables.rules.clear();
    passes(&tables, &arriving, Hook::ToPod).unwrap();
    tables.generation += 1;
    assert_eq!(passes(&tables, &arriving, Hook::ToPod), Err(Reason::PolicyIngress));
    assert_eq!(passes(&tables, &arriving, Hook::JudgedToPod), Ok(()));
    let stray = packet(TCP, SERVER, (POD.0, 8_080), Tcp::SYN);
    assert_eq!(passes(&tables, &stray, Hook::ToPod), Err(Reason::PolicyIngress));
}

#[test]
fn a_connection_from_the_end_that_is_to_answer_is_none_of_the_flow() {
    let mut tables = policed("10.244.9.9", false, Policing { egress: EGRESS, ingress: INGRESS, ..Policing::default() });
    allow(&mut tables, EGRESS, TCP, SERVER.1);
    passes(&tables, &packet(TCP, POD, SERVER, Tcp::SYN), Hook::FromPod).unwrap();
    let back = |flags| packet(TCP, SERVER, POD, flags);
    assert_eq!(passes(&tables, &back(Tcp::SYN), Hook::FromUplink), Err(Reason::PolicyIngress));
    passes(&tables, &back(SYN_ACK), Hook::FromUplink).unwrap();
}

#[test]
fn a_connection_older_than_the_policy_goes_on_if_that_allows_it() {
    let out = packet(TCP, POD, SERVER, Tcp::ACK);
    let segments = [(packet(TCP, SERVER, POD, Tcp::ACK), Hook::FromUplink), (out, Hook::FromPod)];
    for (end, policing, (segment, hook), denied) in [
        // The pod went out, and may; what it is answered would not pass as its own.
        (TcpEnd::Client, only_ingress(), segments[0], Reason::PolicyIngress),
        // The pod was called, and may be; its answer would not pass as its own.
        (TcpEnd::Server, only_egress(), segments[1], Reason::PolicyEgress),
    ] {
        let mut tables = policed("10.244.9.9", false, policing);
        assert_eq!(passes(&tables, &segment, hook), Err(denied), "no connection of the pod's");
        tables.tcp_ends.insert(packet(TCP, SERVER, POD, 0).key, end);
        assert_eq!(passes(&tables, &Packet { tcp_flags: Tcp::SYN, ..segment }, hook), Err(denied), "not an answer");
        passes(&tables, &segment, hook).unwrap();
        assert_eq!(flows(&tables), (0, 2));
        // Now isolated in the direction that the connection was opened in.
        tables.generation += 1;
        let other = Policing { ingress: policing.egress, egress: policing.ingress, ..Policing::default() };
        isolate(&mut tables, POD.0, 5, other);
        assert!(passes(&tables, &segment, hook).is_err());
    }
}

#[test]
fn a_direct_flow_and_one_through_a_service_are_told_apart_by_their_source_port() {
    let tables = policed(SERVER.0, false, only_ingress());
    passes(&tables, &packet(TCP, POD, SERVER, Tcp::SYN), Hook::FromPod).unwrap();
    let through = run(&tables, &packet(TCP, POD, CLUSTER_IP, Tcp::SYN), Hook::FromPod, NOW).unwrap();
    assert_ne!(through.src_port, Port::new(POD.1));
    let back = packet(TCP, SERVER, POD, SYN_ACK);
    assert_eq!(run(&tables, &back, Hook::FromUplink, NOW), Err(Stop::NotOurs));
}

#[test]
fn a_later_fragment_without_its_first_does_not_reach_a_policed_pod() {
    let tables = policed("10.244.9.9", false, only_ingress());
    let fragment = |dst| Packet { kind: Kind::Fragment, part: Part::Later, ..packet(UDP, (SERVER.0, 0), (dst, 0), 0) };
    assert_eq!(passes(&tables, &fragment(POD.0), Hook::ToPod), Err(Reason::UnknownFragment));
    passes(&tables, &fragment(PEER.0), Hook::ToPod).unwrap();
    // Where it comes in it may still be early.
    passes(&tables, &fragment(POD.0), Hook::FromUplink).unwrap();
}

#[test]
fn a_flow_that_an_audit_reports_passes_and_is_remembered() {
    let audited = Policing { ingress: INGRESS | Policing::AUDIT, ..Policing::default() };
    let tables = policed("10.244.9.9", false, audited);
    passes(&tables, &packet(TCP, SERVER, POD, Tcp::SYN), Hook::FromUplink).unwrap();
    assert_eq!(flows(&tables), (0, 2));
}

#[test]
fn a_flow_that_lost_its_clients_half_is_not_taken_for_another() {
    let tables = policed("10.244.9.9", false, only_ingress());
    let syn = packet(TCP, POD, SERVER, Tcp::SYN);
    passes(&tables, &syn, Hook::FromPod).unwrap();
    tables.flows_new.borrow_mut().remove(&syn.key);
    assert_eq!(run(&tables, &syn, Hook::FromPod, NOW), Err(Stop::NotOurs), "from the port it came from");
    assert_eq!(flows(&tables), (0, 2));
}

#[test]
fn a_packet_is_counted_where_it_is_judged_and_not_again_where_it_leaves() {
    let tables = policed("10.244.9.9", false, only_ingress());
    let (ask, answer) = (packet(UDP, POD, SERVER, 0), packet(UDP, SERVER, POD, 0));
    passes(&tables, &ask, Hook::FromPod).unwrap();
    for (hook, seen) in [(Hook::JudgedToPod, NOW), (Hook::ToPod, NOW + 5)] {
        assert_eq!(run(&tables, &answer, hook, NOW + 5), Err(Stop::NotOurs));
        assert_eq!(tables.flows_new.borrow()[&answer.key].record().last_seen, seen);
    }
}

#[test]
fn a_record_tells_whether_its_packets_are_for_a_pod_of_the_node() {
    let mut tables = policed(POD.0, true, only_ingress());
    allow(&mut tables, INGRESS, TCP, 8_080);
    for (client, hook, back) in [(PEER, Hook::FromPod, true), (CLIENT, Hook::FromUplink, false)] {
        let there = run(&tables, &packet(TCP, client, NODE_PORT, Tcp::SYN), hook, NOW).unwrap();
        assert!(ends_at_pod(&there));
        let reply = answer_to(&there, TCP, SYN_ACK);
        assert_eq!(ends_at_pod(&tables.flows_new.borrow()[&reply.key].record()), back);
    }
    let direct = packet(UDP, POD, SERVER, 0);
    passes(&tables, &direct, Hook::FromPod).unwrap();
    let flows = tables.flows_new.borrow();
    assert!(!ends_at_pod(&flows[&direct.key].record()) && ends_at_pod(&flows[&direct.key.reversed()].record()));
}
