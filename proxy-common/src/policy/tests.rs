//! Verdicts on plain tables.

use core::cell::Cell;
use core::net::IpAddr;

use super::*;
use crate::addr::protocol;
use crate::plain::PlainTables;
use crate::tables::{Address, PodNetwork, address_flags, identity_flags};

const POD: &str = "10.244.1.10";
const OTHER: &str = "10.244.1.20";
const REMOTE: &str = "10.244.2.10";
const OUTSIDE: &str = "198.51.100.10";
const NODE: &str = "192.0.2.11";

const INGRESS: u32 = 7;
const EGRESS: u32 = 8;
const FRIENDS: u32 = 3;
const RULE: Rule = Rule { policy: 1, index: 2 };

fn addr(text: &str) -> Addr {
    text.parse::<IpAddr>().unwrap().into()
}

fn local(policing: Policing) -> Identity {
    Identity { flags: identity_flags::LOCAL, ifindex: 5, next: policing, ..Identity::default() }
}

/// The node with two pods of its own, which no policy isolates.
fn tables() -> PlainTables {
    let mut tables = PlainTables { generation: 10, ..PlainTables::default() };
    tables.addresses.insert(addr(NODE), Address { flags: address_flags::NODE });
    for pod in [POD, OTHER] {
        tables.identities.insert(addr(pod), local(Policing::default()));
    }
    tables
}

fn isolated(policing: Policing) -> PlainTables {
    let mut tables = tables();
    tables.identities.insert(addr(POD), local(policing));
    tables
}

fn ingress_isolated() -> PlainTables {
    isolated(Policing { ingress: INGRESS, ..Policing::default() })
}

fn egress_isolated() -> PlainTables {
    isolated(Policing { egress: EGRESS, ..Policing::default() })
}

fn key(set: u32, class: u32, port: u16) -> RuleKey {
    RuleKey { set, class, protocol: protocol::TCP.into(), port: Port::new(port) }
}

fn question(src: &str, dst: &str, port: u16) -> Question {
    Question { src: addr(src), dst: addr(dst), protocol: protocol::TCP.into(), port: Port::new(port), from_node: 0 }
}

fn ask(tables: &PlainTables, question: &Question) -> Result<Ruling, Reason> {
    let mut ruling = Ruling::default();
    judge(tables, question, &mut ruling).map(|()| ruling)
}

fn passes(tables: &PlainTables, src: &str, dst: &str, port: u16) -> bool {
    ask(tables, &question(src, dst, port)).is_ok()
}

#[test]
fn what_no_policy_isolates_passes_and_need_not_be_remembered() {
    let tables = tables();
    for (src, dst) in [(POD, OTHER), (OUTSIDE, POD), (POD, OUTSIDE), (POD, NODE)] {
        assert_eq!(ask(&tables, &question(src, dst, 80)).unwrap().flags & ruling_flags::POLICED, 0);
    }
}

#[test]
fn an_isolated_direction_passes_nothing_without_a_rule_and_the_other_everything() {
    let tables = ingress_isolated();
    assert_eq!(ask(&tables, &question(OTHER, POD, 80)), Err(Reason::PolicyIngress));
    assert_eq!(ask(&tables, &question(POD, OTHER, 80)).unwrap().flags & ruling_flags::POLICED, ruling_flags::POLICED);
    let tables = egress_isolated();
    assert_eq!(ask(&tables, &question(POD, OTHER, 80)), Err(Reason::PolicyEgress));
    assert!(passes(&tables, OTHER, POD, 80));
}

#[test]
fn a_rule_for_everybody_is_for_those_of_a_class_too() {
    let mut tables = ingress_isolated();
    tables.rules.insert((key(INGRESS, EVERYBODY, 80), RuleKey::BITS), RULE);
    tables.identities.insert(
        addr(REMOTE),
        Identity { next: Policing { class: FRIENDS, ..Policing::default() }, ..Identity::default() },
    );
    for src in [OTHER, REMOTE, OUTSIDE] {
        assert_eq!(ask(&tables, &question(src, POD, 80)).unwrap().ingress, RULE);
        assert!(!passes(&tables, src, POD, 81));
    }
}

#[test]
fn a_rule_for_a_class_is_for_pods_and_networks_that_are_of_it() {
    let mut tables = ingress_isolated();
    tables.rules.insert((key(INGRESS, FRIENDS, 0), RuleKey::ANY_PROTOCOL), RULE);
    tables.identities.insert(
        addr(REMOTE),
        Identity { next: Policing { class: FRIENDS, ..Policing::default() }, ..Identity::default() },
    );
    tables.blocks.insert("198.51.100.0/24".parse().unwrap(), Block { next: FRIENDS, ..Block::default() });
    tables.blocks.insert("198.51.100.128/25".parse().unwrap(), Block::default());
    assert!(passes(&tables, REMOTE, POD, 80) && passes(&tables, OUTSIDE, POD, 80));
    assert!(!passes(&tables, "198.51.100.200", POD, 80), "the longest prefix decides");
    assert!(!passes(&tables, OTHER, POD, 80));
    // An address that a pod has is of the pod's class, whatever network holds it.
    tables.blocks.insert("10.244.1.0/24".parse().unwrap(), Block { next: FRIENDS, ..Block::default() });
    assert!(!passes(&tables, OTHER, POD, 80));
}

#[test]
fn rules_are_of_a_protocol_of_all_its_ports_or_of_a_prefix_of_them() {
    let mut tables = ingress_isolated();
    tables.rules.insert((key(INGRESS, EVERYBODY, 8_000), RuleKey::BITS - 3), RULE);
    assert!(passes(&tables, OTHER, POD, 8_000) && passes(&tables, OTHER, POD, 8_007));
    assert!(!passes(&tables, OTHER, POD, 8_008) && !passes(&tables, OTHER, POD, 7_999));
    let datagram = Question { protocol: protocol::UDP.into(), ..question(OTHER, POD, 8_000) };
    assert_eq!(ask(&tables, &datagram), Err(Reason::PolicyIngress));
    tables.rules.insert((key(INGRESS, EVERYBODY, 0), RuleKey::ANY_PORT), RULE);
    assert!(passes(&tables, OTHER, POD, 1));
    assert_eq!(ask(&tables, &datagram), Err(Reason::PolicyIngress));
    tables.rules.insert((key(INGRESS, EVERYBODY, 0), RuleKey::ANY_PROTOCOL), RULE);
    assert!(ask(&tables, &datagram).is_ok());
}

#[test]
fn both_ends_decide() {
    let mut tables = egress_isolated();
    tables.identities.insert(addr(OTHER), local(Policing { ingress: INGRESS, ..Policing::default() }));
    assert_eq!(ask(&tables, &question(POD, OTHER, 80)), Err(Reason::PolicyEgress));
    tables.rules.insert((key(EGRESS, EVERYBODY, 80), RuleKey::BITS), RULE);
    assert_eq!(ask(&tables, &question(POD, OTHER, 80)), Err(Reason::PolicyIngress));
    let other = Rule { policy: 2, index: 0 };
    tables.rules.insert((key(INGRESS, EVERYBODY, 80), RuleKey::BITS), other);
    let ruling = ask(&tables, &question(POD, OTHER, 80)).unwrap();
    assert_eq!((ruling.egress, ruling.ingress), (RULE, other));
}

#[test]
fn a_pod_reaches_its_node_and_itself_and_the_node_reaches_it() {
    let tables = isolated(Policing { ingress: INGRESS, egress: EGRESS, ..Policing::default() });
    assert!(passes(&tables, POD, NODE, 22) && passes(&tables, POD, POD, 80));
    let from_node = Question { from_node: 1, ..question(NODE, POD, 80) };
    assert!(ask(&tables, &from_node).is_ok());
    // Who only says that he is the node, or another's program that is none of the node's addresses.
    assert_eq!(ask(&tables, &question(NODE, POD, 80)), Err(Reason::PolicyIngress));
    assert!(ask(&tables, &Question { from_node: 1, ..question(OUTSIDE, POD, 80) }).is_err());
}

#[test]
fn each_generation_is_judged_by_its_own_half_of_an_entry() {
    let mut tables = ingress_isolated();
    let friends = Policing { class: FRIENDS, ..Policing::default() };
    let identity = Identity { since: 11, last: friends, ..Identity::default() };
    tables.identities.insert(addr(REMOTE), identity);
    tables.blocks.insert("198.51.100.0/24".parse().unwrap(), Block { since: 11, last: 0, next: FRIENDS });
    tables.rules.insert((key(INGRESS, FRIENDS, 0), RuleKey::ANY_PROTOCOL), RULE);
    assert!(passes(&tables, REMOTE, POD, 80) && !passes(&tables, OUTSIDE, POD, 80));
    tables.generation = 11;
    assert!(!passes(&tables, REMOTE, POD, 80) && passes(&tables, OUTSIDE, POD, 80));
    assert_eq!(ask(&tables, &question(OUTSIDE, POD, 80)).unwrap().generation, 11);
}

#[test]
fn what_an_audit_would_deny_passes_and_is_told() {
    let audited = |set| set | Policing::AUDIT;
    let mut tables = isolated(Policing { ingress: audited(INGRESS), egress: audited(EGRESS), ..Policing::default() });
    let flags = |tables: &PlainTables, src, dst| {
        let ruling = ask(tables, &question(src, dst, 80)).unwrap();
        ruling.flags & (ruling_flags::AUDIT_EGRESS | ruling_flags::AUDIT_INGRESS)
    };
    assert_eq!(flags(&tables, POD, OTHER), ruling_flags::AUDIT_EGRESS);
    assert_eq!(flags(&tables, OTHER, POD), ruling_flags::AUDIT_INGRESS);
    for set in [INGRESS, EGRESS] {
        tables.rules.insert((key(set, EVERYBODY, 80), RuleKey::BITS), RULE);
    }
    assert_eq!((flags(&tables, POD, OTHER), flags(&tables, OTHER, POD)), (0, 0));
}

#[test]
fn an_address_of_the_nodes_pods_that_no_pod_has_is_held_only_where_that_is_asked_for() {
    let mut tables = tables();
    tables.pod_network = PodNetwork {
        ipv4: addr("10.244.1.0"),
        ipv4_mask: Addr::from_words([0, 0, 0, u32::from_ne_bytes([255, 255, 255, 0])]),
        ..PodNetwork::default()
    };
    tables.addresses.insert(addr("10.244.1.1"), Address { flags: address_flags::NODE });
    assert!(passes(&tables, "10.244.1.77", POD, 80));
    tables.pod_network.flags = pod_network_flags::HOLD_UNKNOWN;
    assert_eq!(ask(&tables, &question("10.244.1.77", OUTSIDE, 80)), Err(Reason::UnknownPod));
    assert_eq!(ask(&tables, &question(OUTSIDE, "10.244.1.77", 80)), Err(Reason::UnknownPod));
    assert!(passes(&tables, POD, "10.244.1.1", 80), "the node's own");
    assert!(passes(&tables, POD, REMOTE, 80) && passes(&tables, POD, OTHER, 80));
}

/// Tables whose generation moves a number of times while they are asked.
struct Moving(PlainTables, Cell<u32>);

impl PolicyTables for Moving {
    fn generation(&self) -> u32 {
        let left = self.1.get();
        self.1.set(left.saturating_sub(1));
        self.0.generation - left
    }
    fn pod_network_flags(&self) -> u32 {
        self.0.pod_network_flags()
    }
    fn in_pod_network(&self, addr: &Addr) -> bool {
        self.0.in_pod_network(addr)
    }
    fn identity(&self, addr: &Addr) -> Option<Identity> {
        self.0.identity(addr)
    }
    fn block(&self, addr: &Addr) -> Option<Block> {
        self.0.block(addr)
    }
    fn rule(&self, key: &RuleKey) -> Option<Rule> {
        self.0.rule(key)
    }
    fn is_node(&self, addr: &Addr) -> bool {
        self.0.is_node(addr)
    }
    fn judge(&self, question: &Question, ruling: &mut Ruling) -> Result<(), Reason> {
        judge(self, question, ruling)
    }
}

#[test]
fn a_verdict_begins_again_when_the_policies_change_under_it_and_gives_up_in_time() {
    let verdict = |moves| {
        let tables = Moving(tables(), Cell::new(moves));
        let mut ruling = Ruling::default();
        tables.judge(&question(OTHER, POD, 80), &mut ruling).map(|()| ruling.generation)
    };
    assert_eq!((verdict(0), verdict(1), verdict(3)), (Ok(10), Ok(10), Ok(10)));
    assert_eq!(verdict(6), Err(Reason::PolicyChanging));
}
