//! Random changes of a small cluster.

use std::collections::{BTreeMap, BTreeSet};

use ipnetwork::IpNetwork;
use proptest::collection::vec;
use proptest::option::weighted;
use proptest::prelude::*;
use proptest::sample::select;

use crate::model::fixtures::{ip, pod};
use crate::model::{
    Change, ContainerPort, Kind, Namespace, Namespaces, NetworkPolicy, Node, Object, ObjectRef, Peer, Pod, Policies,
    PolicyPort, PolicyRule, PortMatch, PortRange, Protocol, Requirement, Selector,
};

pub(super) const HERE: &str = crate::model::fixtures::HERE;

/// Addresses of pods, of which those beginning with 10.244.1 and fd00:1 are this node's, and of others.
pub(super) const ADDRESSES: [&str; 10] = [
    "10.244.1.1",
    "10.244.1.2",
    "10.244.1.3",
    "10.244.2.1",
    "10.244.2.2",
    "192.0.2.1",
    "192.0.2.200",
    "fd00:1::1",
    "fd00:2::1",
    "2001:db8::1",
];

const BLOCKS: [&str; 9] = [
    "0.0.0.0/0",
    "10.244.0.0/16",
    "10.244.1.0/24",
    "10.244.1.2/32",
    "192.0.2.0/24",
    "192.0.2.128/25",
    "::/0",
    "fd00:1::/64",
    "fd00::/16",
];

const NAMESPACES: [&str; 2] = ["default", "other"];

pub(super) fn apply(policies: &mut Policies, changes: &[Change]) {
    for change in changes {
        policies.apply(change);
    }
}

pub(super) fn random() -> impl Strategy<Value = Change> {
    prop_oneof![
        8 => some_pod().prop_map(|it| Change::Apply(Object::Pod(it))),
        2 => names(Kind::Pod, 6).prop_map(Change::Delete),
        8 => policy().prop_map(|it| Change::Apply(Object::NetworkPolicy(it))),
        3 => names(Kind::NetworkPolicy, 4).prop_map(Change::Delete),
        2 => namespace().prop_map(|it| Change::Apply(Object::Namespace(it))),
        1 => select(&NAMESPACES[..]).prop_map(|name| Change::Delete(object_ref(Kind::Namespace, "", name))),
        2 => weighted(0.9, Just(())).prop_map(|cidrs| Change::Apply(Object::Node(node(cidrs.is_some())))),
    ]
}

fn object_ref(kind: Kind, namespace: &str, name: &str) -> ObjectRef {
    ObjectRef { kind, namespace: namespace.into(), name: name.into() }
}

fn names(kind: Kind, names: u32) -> impl Strategy<Value = ObjectRef> {
    (select(&NAMESPACES[..]), 0..names)
        .prop_map(move |(namespace, name)| object_ref(kind, namespace, &name.to_string()))
}

fn node(has_cidrs: bool) -> Node {
    let cidrs = ["10.244.1.0/24", "fd00:1::/64"].map(|text| text.parse().unwrap());
    Node {
        name: HERE.into(),
        labels: BTreeMap::new(),
        internal_ips: Vec::new(),
        pod_cidrs: if has_cidrs { cidrs.to_vec() } else { Vec::new() },
        terminating: false,
        to_be_deleted: false,
    }
}

fn namespace() -> impl Strategy<Value = Namespace> {
    (select(&NAMESPACES[..]), labels(), weighted(0.2, Just(()))).prop_map(|(name, mut labels, audit)| {
        labels.insert("kubernetes.io/metadata.name".into(), name.into());
        Namespace { name: name.into(), labels, audit: audit.is_some(), defects: Vec::new() }
    })
}

fn labels() -> impl Strategy<Value = BTreeMap<String, String>> {
    let label = (select(&["app", "tier"][..]), select(&["a", "b"][..]));
    vec(label, 0..3).prop_map(|pairs| pairs.into_iter().map(|(key, value)| (key.into(), value.into())).collect())
}

fn some_pod() -> impl Strategy<Value = Pod> {
    let ips = vec(select(&ADDRESSES[..]), 0..3);
    let flags = (weighted(0.1, Just(())), weighted(0.05, Just(())), weighted(0.05, Just(())));
    let of_node = weighted(0.7, Just(()));
    (names(Kind::Pod, 6), labels(), of_node, ips, select(&[80, 8080][..]), flags).prop_map(
        |(id, labels, here, ips, port, (terminating, finished, host_network))| Pod {
            namespace: id.namespace,
            labels: labels.into(),
            node_name: Some(if here.is_some() { HERE } else { "node2" }.into()),
            ports: vec![ContainerPort { name: "http".into(), protocol: Protocol::Tcp, port }],
            terminating: terminating.is_some(),
            finished: finished.is_some(),
            host_network: host_network.is_some(),
            ..pod(&id.name, "", &ips.into_iter().collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>())
        },
    )
}

fn selector() -> impl Strategy<Value = Selector> {
    let key = || select(&["app", "tier"][..]).prop_map(str::to_owned);
    let values = || vec(select(&["a", "b"][..]).prop_map(str::to_owned), 1..3).prop_map(BTreeSet::from_iter);
    let requirement = prop_oneof![
        4 => (key(), values()).prop_map(|(key, values)| Requirement::In(key, values)),
        1 => (key(), values()).prop_map(|(key, values)| Requirement::NotIn(key, values)),
        1 => key().prop_map(Requirement::Exists),
        1 => key().prop_map(Requirement::DoesNotExist),
    ];
    vec(requirement, 0..2).prop_map(|it| Selector { requirements: it.into_iter().collect() })
}

fn policy() -> impl Strategy<Value = NetworkPolicy> {
    let rules = || weighted(0.7, vec(rule(), 0..3));
    (names(Kind::NetworkPolicy, 4), selector(), rules(), rules(), weighted(0.15, Just(()))).prop_map(
        |(id, pod_selector, ingress, egress, audit)| {
            let own = |rules: Option<Vec<PolicyRule>>| {
                rules.map(|rules| rules.into_iter().map(|it| of(it, &id.namespace)).collect())
            };
            NetworkPolicy {
                ingress: own(ingress),
                egress: own(egress),
                namespace: id.namespace.clone(),
                name: id.name.clone(),
                pod_selector,
                audit: audit.is_some(),
                defects: Vec::new(),
            }
        },
    )
}

/// A peer's Pods are of the policy's own namespace where they are of a namespace by name.
fn of(mut rule: PolicyRule, own: &str) -> PolicyRule {
    for peer in rule.peers.iter_mut().flatten() {
        if let Peer::Pods { namespaces: Namespaces::Named(name), .. } = peer {
            own.clone_into(name);
        }
    }
    rule
}

fn rule() -> impl Strategy<Value = PolicyRule> {
    let namespaces = prop_oneof![Just(Namespaces::Named(String::new())), selector().prop_map(Namespaces::Matching),];
    let pods = (namespaces, selector()).prop_map(|(namespaces, pods)| Peer::Pods { namespaces, pods });
    let block = (select(&BLOCKS[..]), vec(select(&BLOCKS[..]), 0..3)).prop_map(|(cidr, except)| block(cidr, &except));
    let ports = prop_oneof![
        Just(PortMatch::All),
        Just(PortMatch::Range(PortRange { first: 80, last: 80 })),
        Just(PortMatch::Range(PortRange { first: 79, last: 9000 })),
        Just(PortMatch::Name("http".into())),
    ];
    let protocol = select(&[Protocol::Tcp, Protocol::Tcp, Protocol::Udp][..]);
    let port = (protocol, ports).prop_map(|(protocol, port)| PolicyPort { protocol, port });
    let peer = prop_oneof![pods, block];
    (weighted(0.8, vec(peer, 0..3)), weighted(0.7, vec(port, 0..3)))
        .prop_map(|(peers, ports)| PolicyRule { peers, ports })
}

fn block(cidr: &str, except: &[&str]) -> Peer {
    let network = |text: &str| text.parse::<IpNetwork>().unwrap();
    let cidr = network(cidr);
    let within =
        |it: &IpNetwork| it.is_ipv4() == cidr.is_ipv4() && it.prefix() > cidr.prefix() && cidr.contains(it.ip());
    Peer::Block { cidr, except: except.iter().map(|text| network(text)).filter(within).collect() }
}

#[test]
fn some_addresses_are_of_this_node() {
    assert!(ADDRESSES.iter().any(|text| node(true).pod_cidrs[0].contains(ip(text))));
}
