//! What policies mean, seen in the tables.

use proxy_common::policy::ruling_flags;
use proxy_common::tables::pod_network_flags;

use super::objects::{
    Cluster, TCP, app, block, egress, elsewhere, here, ingress, namespace, number, of, policy, rule, tcp,
};
use super::reader::ruling_of;
use crate::model::fixtures::pod;
use crate::model::{
    ContainerPort, Kind, Namespaces, Object, Peer, Pod, PolicyPort, PortMatch, Protocol, Requirement, Selector,
};
use crate::plan::PolicyWrite;

const WEB: &str = "10.244.1.1";
const CLIENT: &str = "10.244.2.1";
const OTHER: &str = "10.244.2.2";
const OUTSIDE: &str = "192.0.2.1";

fn pods() -> [Object; 3] {
    [here("web", "web", WEB), elsewhere("client", "client", CLIENT), elsewhere("other", "other", OTHER)]
}

fn cluster(policies: impl IntoIterator<Item = Object>) -> Cluster {
    let mut cluster = Cluster::with(pods());
    for policy in policies {
        cluster.apply(policy);
    }
    cluster
}

fn begins(writes: &[PolicyWrite]) -> usize {
    writes.iter().filter(|write| matches!(write, PolicyWrite::SetGeneration(_))).count()
}

#[test]
fn a_policy_lets_its_peer_use_its_port_and_nobody_else() {
    let cluster = cluster([ingress("web", "web", vec![rule(Some(vec![of(app("client"))]), Some(vec![number(80)]))])]);
    assert!(cluster.passes(CLIENT, WEB, 80));
    assert!(!cluster.passes(CLIENT, WEB, 81));
    assert!(!cluster.passes(OTHER, WEB, 80));
    assert!(!cluster.passes(OUTSIDE, WEB, 80));
    assert!(cluster.judge(CLIENT, WEB, 17, 80).is_err(), "a port is of its protocol");
    assert!(cluster.passes(WEB, OTHER, 80), "the other direction is left alone");
}

#[test]
fn absent_peers_and_ports_are_all_and_lists_without_any_are_none() {
    for (rules, client, icmp) in [
        (vec![], false, false),
        (vec![rule(None, None)], true, true),
        (vec![rule(Some(vec![]), None)], false, false),
        (vec![rule(None, Some(vec![]))], false, false),
        (vec![rule(None, Some(vec![tcp(PortMatch::All)]))], true, false),
        (vec![rule(Some(vec![of(Selector::default())]), None)], true, true),
    ] {
        let cluster = cluster([ingress("web", "web", rules.clone())]);
        assert_eq!(cluster.passes(CLIENT, WEB, 80), client, "{rules:?}");
        assert_eq!(cluster.judge(CLIENT, WEB, 1, 0).is_ok(), icmp, "{rules:?}");
    }
}

#[test]
fn both_ends_on_one_node_decide_and_policies_of_one_end_are_united() {
    let client = || here("client", "client", "10.244.1.2");
    let allow = |peer: &str, port| vec![rule(Some(vec![of(app(peer))]), Some(vec![number(port)]))];
    let mut cluster = cluster([
        client(),
        ingress("a", "web", allow("client", 80)),
        ingress("b", "web", allow("client", 81)),
        egress("c", "client", allow("web", 81)),
    ]);
    assert!(!cluster.passes("10.244.1.2", WEB, 80));
    assert!(cluster.passes("10.244.1.2", WEB, 81));
    cluster.delete(Kind::NetworkPolicy, "c");
    assert!(cluster.passes("10.244.1.2", WEB, 80));
}

#[test]
fn namespaces_are_selected_by_their_labels_alone_or_with_pods() {
    let in_other = |name: &str, app: &str, ip: &str| {
        Object::Pod(Pod { namespace: "other".into(), node_name: None, ..pod(name, app, &[ip]) })
    };
    let team = |team: &str| {
        let is = Requirement::In("team".into(), [team.to_owned()].into());
        Namespaces::Matching(Selector { requirements: [is].into() })
    };
    let peer = |pods: Selector| Peer::Pods { namespaces: team("a"), pods };
    let mut cluster = cluster([
        in_other("x", "x", "10.244.3.1"),
        in_other("y", "y", "10.244.3.2"),
        ingress("a", "web", vec![rule(Some(vec![peer(app("x"))]), Some(vec![number(80)]))]),
        ingress("b", "web", vec![rule(Some(vec![peer(Selector::default())]), Some(vec![number(81)]))]),
    ]);
    let found = |cluster: &Cluster| {
        [("10.244.3.1", 80), ("10.244.3.2", 80), ("10.244.3.2", 81), (CLIENT, 81)]
            .map(|(src, port)| cluster.passes(src, WEB, port))
    };
    assert_eq!(found(&cluster), [false; 4]);
    cluster.apply(namespace("other", &[("team", "a")]));
    assert_eq!(found(&cluster), [true, false, true, false]);
    cluster.apply(namespace("other", &[("team", "b")]));
    assert_eq!(found(&cluster), [false; 4]);
}

#[test]
fn a_namespace_without_an_object_has_the_label_with_its_name() {
    let is = Requirement::In("kubernetes.io/metadata.name".into(), ["default".to_owned()].into());
    let peer = Peer::Pods {
        namespaces: Namespaces::Matching(Selector { requirements: [is].into() }),
        pods: Selector::default(),
    };
    let cluster = cluster([ingress("web", "web", vec![rule(Some(vec![peer]), None)])]);
    assert!(cluster.passes(CLIENT, WEB, 80) && !cluster.passes(OUTSIDE, WEB, 80));
}

#[test]
fn a_block_holds_pods_too_and_its_excepts_nobody() {
    let peer = block("10.244.0.0/16", &["10.244.2.1/32", "10.244.3.0/24"]);
    let cluster = cluster([ingress("web", "web", vec![rule(Some(vec![peer]), None)])]);
    for (src, expected) in
        [(CLIENT, false), (OTHER, true), ("10.244.3.9", false), ("10.244.4.9", true), (OUTSIDE, false)]
    {
        assert_eq!(cluster.passes(src, WEB, 80), expected, "{src}");
    }
}

#[test]
fn what_one_rule_excepts_another_may_hold() {
    let all = block("0.0.0.0/0", &["192.0.2.0/24"]);
    let inner = block("192.0.2.0/25", &["192.0.2.8/29"]);
    let rules = vec![rule(Some(vec![all]), None), rule(Some(vec![inner]), Some(vec![number(80)]))];
    let cluster = cluster([ingress("web", "web", rules)]);
    for (src, port, expected) in [
        ("203.0.113.1", 443, true),
        ("192.0.2.1", 80, true),
        ("192.0.2.1", 443, false),
        ("192.0.2.9", 80, false),
        ("192.0.2.200", 80, false),
    ] {
        assert_eq!(cluster.passes(src, WEB, port), expected, "{src} {port}");
    }
}

#[test]
fn a_block_of_all_of_ipv6_stands_behind_one_for_ipv4() {
    let cluster = cluster([ingress("web", "web", vec![rule(Some(vec![block("::/0", &[])]), None)])]);
    assert!(!cluster.passes(OUTSIDE, WEB, 80));
    // The kernel's trie knows no families.
    let bits: Vec<_> = cluster.image().blocks.iter().map(|(prefix, block)| (prefix.bits, block.next != 0)).collect();
    assert!(bits.contains(&(96, false)) && bits.contains(&(0, true)), "{bits:?}");
}

#[test]
fn a_named_port_is_what_the_pod_that_is_reached_calls_so() {
    let with = |name: &str, ip: &str, protocol, port| {
        let ports = vec![ContainerPort { name: "http".into(), protocol, port }];
        Object::Pod(Pod { ports, ..pod(name, "web", &[ip]) })
    };
    let http = || Some(vec![tcp(PortMatch::Name("http".into()))]);
    let mut cluster = Cluster::with([
        with("a", "10.244.1.1", Protocol::Tcp, 8080),
        with("b", "10.244.1.2", Protocol::Tcp, 9000),
        with("c", "10.244.1.3", Protocol::Udp, 8080),
        here("client", "client", "10.244.1.9"),
        ingress("in", "web", vec![rule(None, http())]),
    ]);
    let found = |cluster: &Cluster, src: &str| {
        [("10.244.1.1", 8080), ("10.244.1.1", 9000), ("10.244.1.2", 9000), ("10.244.1.3", 8080)]
            .map(|(dst, port)| cluster.passes(src, dst, port))
    };
    let expected = [true, false, true, false];
    assert_eq!(found(&cluster, OUTSIDE), expected);
    cluster.delete(Kind::NetworkPolicy, "in");
    for peers in [None, Some(vec![of(app("web"))]), Some(vec![block("10.244.0.0/16", &[])])] {
        cluster.apply(egress("out", "client", vec![rule(peers.clone(), http())]));
        assert_eq!(found(&cluster, "10.244.1.9"), expected, "{peers:?}");
        assert!(!cluster.passes("10.244.1.9", OUTSIDE, 8080), "nobody knows what it calls so");
    }
    cluster.apply(with("b", "10.244.1.2", Protocol::Tcp, 9001));
    assert!(cluster.passes("10.244.1.9", "10.244.1.2", 9001) && !cluster.passes("10.244.1.9", "10.244.1.2", 9000));
}

#[test]
fn host_network_and_finished_pods_are_nobody() {
    let allow = ingress("web", "web", vec![rule(Some(vec![of(app("client"))]), None)]);
    let client = |change: fn(Pod) -> Pod| Object::Pod(change(pod("client", "client", &[CLIENT])));
    let mut cluster = cluster([allow]);
    for change in [|it| Pod { host_network: true, ..it }, |it| Pod { finished: true, ..it }] {
        assert!(cluster.passes(CLIENT, WEB, 80));
        cluster.apply(client(change));
        assert!(!cluster.passes(CLIENT, WEB, 80));
        cluster.apply(client(|it| it));
    }
}

#[test]
fn of_two_pods_with_one_address_the_later_has_it_unless_it_ends() {
    let allow = ingress("web", "web", vec![rule(Some(vec![of(app("client"))]), None)]);
    let mut cluster = cluster([allow, elsewhere("late", "other", CLIENT)]);
    assert!(!cluster.passes(CLIENT, WEB, 80));
    cluster.apply(elsewhere("client", "client", CLIENT));
    assert!(!cluster.passes(CLIENT, WEB, 80), "hearing of it again makes it no later");
    cluster.apply(Object::Pod(Pod { terminating: true, ..pod("late", "other", &[CLIENT]) }));
    assert!(cluster.passes(CLIENT, WEB, 80));
}

#[test]
fn audited_policies_report_and_beside_an_enforced_one_say_nothing() {
    let audited = |rules| {
        Object::NetworkPolicy(crate::model::NetworkPolicy { audit: true, ..policy("a", "web", Some(rules), None) })
    };
    let only = |port| vec![rule(None, Some(vec![number(port)]))];
    let mut cluster = cluster([audited(only(80))]);
    assert_eq!(cluster.judge(OUTSIDE, WEB, TCP, 80), Ok(0));
    assert_eq!(cluster.judge(OUTSIDE, WEB, TCP, 81), Ok(ruling_flags::AUDIT_INGRESS));
    cluster.apply(ingress("b", "web", only(81)));
    assert_eq!(cluster.judge(OUTSIDE, WEB, TCP, 80), Err(()));
    assert_eq!(cluster.judge(OUTSIDE, WEB, TCP, 81), Ok(0));
}

#[test]
fn a_verdict_names_the_policy_and_the_place_of_its_rule() {
    let rules =
        vec![rule(Some(vec![of(app("other"))]), None), rule(Some(vec![of(app("client"))]), Some(vec![number(80)]))];
    let cluster = cluster([ingress("deny", "web", vec![]), ingress("web", "web", rules)]);
    let ruling = ruling_of(cluster.image(), CLIENT, WEB, TCP, 80).unwrap();
    let name = &cluster.image().names[&ruling.ingress.policy];
    assert!(name.namespace.starts_with(b"default\0") && name.name.starts_with(b"web\0"));
    assert_eq!(ruling.ingress.index, 1);
}

#[test]
fn unknown_pods_are_held_from_the_first_policy_to_the_last() {
    let mut cluster = cluster([]);
    assert!(cluster.passes("10.244.1.77", OUTSIDE, 80));
    cluster.apply(ingress("nobodys", "nobody", vec![]));
    assert!(!cluster.passes("10.244.1.77", OUTSIDE, 80) && !cluster.passes(OUTSIDE, "10.244.1.77", 80));
    assert!(cluster.passes(WEB, OUTSIDE, 80));
    let generation = cluster.image().generation;
    assert_eq!(begins(&cluster.apply(here("new", "new", "10.244.1.77"))), 0, "flows aren't judged anew for it");
    assert_eq!(cluster.image().generation, generation);
    assert!(cluster.passes("10.244.1.77", OUTSIDE, 80));
    cluster.delete(Kind::NetworkPolicy, "nobodys");
    cluster.delete(Kind::Pod, "new");
    assert!(cluster.passes("10.244.1.77", OUTSIDE, 80));
}

#[test]
fn policed_says_whether_somebody_is() {
    let is_policed = |cluster: &Cluster| cluster.image().pod_network.flags & pod_network_flags::POLICED != 0;
    let mut cluster = cluster([ingress("nobodys", "client", vec![])]);
    assert!(!is_policed(&cluster), "a Pod elsewhere is its own node's affair");
    cluster.apply(ingress("web", "web", vec![]));
    assert!(is_policed(&cluster));
    cluster.delete(Kind::NetworkPolicy, "web");
    assert!(!is_policed(&cluster));
}

#[test]
fn readiness_changes_nothing_and_an_interface_no_generation() {
    let mut cluster = cluster([ingress("web", "web", vec![])]);
    assert_eq!(cluster.apply(Object::Pod(Pod { ready: false, ..pod("web", "web", &[WEB]) })), []);
    cluster.policies.set_interfaces([(WEB.parse().unwrap(), 7), (CLIENT.parse().unwrap(), 8)].into());
    let writes = cluster.plan.update(&mut cluster.policies);
    assert!(matches!(&writes[..], [PolicyWrite::PutIdentity(_, identity)] if identity.ifindex == 7), "{writes:?}");
}

#[test]
fn defects_name_the_object() {
    let mut bad = policy("web", "web", Some(vec![]), None);
    bad.defects.push("spec.ingress[0]: no".into());
    let cluster = cluster([Object::NetworkPolicy(bad)]);
    let defects: Vec<_> = cluster.policies.defects().map(|defect| defect.to_string()).collect();
    assert_eq!(defects, ["NetworkPolicy default/web: spec.ingress[0]: no"]);
}

#[test]
fn protocols_without_ports_take_a_rule_for_all_traffic() {
    let ports = |protocol| Some(vec![PolicyPort { protocol, port: PortMatch::All }]);
    let cluster = cluster([ingress("web", "web", vec![rule(None, ports(Protocol::Sctp))])]);
    assert!(cluster.judge(CLIENT, WEB, 132, 9).is_ok());
    assert!(cluster.judge(CLIENT, WEB, 58, 0).is_err());
}
