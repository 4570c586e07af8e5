//! A cluster as manifests describe it: its objects, and the tables that each of its nodes would have.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;

use ipnetwork::IpNetwork;
use proxy_common::addr::{Addr, Family, Port};
use proxy_common::plain::PlainTables;
use proxy_common::policy::{Question, Ruling, judge, ruling_flags};
use proxy_common::tables::{Address, Policing, address_flags};

use super::traffic::Slice;
use crate::model::{self, Change, NetworkPolicy, Node, Object, Peer, Pod, Policies, PolicyMode};
use crate::objects::manifest::{self, ManifestError};
use crate::objects::{ObjectEvent, Problems};
use crate::plan::{PolicyImage, PolicyPlan};

/// Namespace and name.
pub(super) type PodName = (String, String);

/// A cluster.
pub(super) struct Cluster {
    /// What is wrong with its objects.
    pub(super) problems: Vec<String>,
    /// Its Pods that policy is about. Each has an address and a node: one of its own where its object names none.
    pub(super) pods: BTreeMap<PodName, Pod>,
    /// Its policies.
    pub(super) policies: Vec<NetworkPolicy>,
    /// Addresses of Pods that have none yet were made up.
    pub(super) has_made_up_addresses: bool,
    nodes: Vec<Node>,
    /// Tables by node.
    tables: BTreeMap<String, PlainTables>,
    /// The tables of a node that had all Pods: there, what behaves the same has the same numbers.
    everywhere: PlainTables,
}

/// Who sends, or gets, a packet.
#[derive(Clone, Copy)]
pub(super) struct Spot<'a> {
    pub(super) addr: Addr,
    /// Its node, of a Pod.
    pub(super) node: Option<&'a str>,
}

/// What becomes of a packet.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Verdict {
    Denied,
    /// It passes, because the policy that denies it is audited only.
    Audited,
    Allowed,
}

impl Cluster {
    /// Reads a directory of manifests.
    pub(super) fn read(dir: &Path) -> Result<Self, ManifestError> {
        let mut problems = Problems::default();
        let mut objects = Vec::new();
        for event in manifest::read(dir)? {
            problems.record(&event);
            if let ObjectEvent::Change(Change::Apply(object)) = event {
                objects.push(object);
            }
        }
        Ok(Self::new(objects, problems.iter().map(|(_, error)| error.to_string()).collect()))
    }

    /// The cluster of these objects; `problems` is what is wrong with others.
    pub(super) fn new(objects: Vec<Object>, mut problems: Vec<String>) -> Self {
        let mut services = model::Cluster::new("");
        let (mut pods, mut others) = (BTreeMap::new(), Vec::new());
        let (mut policies, mut nodes) = (Vec::new(), Vec::new());
        for object in objects {
            services.apply(Change::Apply(object.clone()));
            match &object {
                Object::Pod(pod) if pod.host_network || pod.finished => {}
                Object::Pod(pod) => drop(pods.insert((pod.namespace.clone(), pod.name.clone()), pod.clone())),
                Object::NetworkPolicy(policy) => policies.push(policy.clone()),
                Object::Node(node) => nodes.push(node.clone()),
                _ => {}
            }
            if !matches!(object, Object::Pod(_)) {
                others.push(Change::Apply(object));
            }
        }
        let has_made_up_addresses = settle(&mut pods);
        let changes = |node_of: &dyn Fn(&Pod) -> Option<String>| {
            let pods = pods.values().map(|pod| Pod { node_name: node_of(pod), ..pod.clone() });
            others.iter().cloned().chain(pods.map(|pod| Change::Apply(Object::Pod(pod)))).collect::<Vec<_>>()
        };
        problems.extend(services.conflicts().map(|it| it.to_string()));
        problems.extend(services.remarks().map(|it| it.to_string()));
        let everywhere = planned("", &changes(&|_| Some(String::new())), &nodes);
        problems.extend(everywhere.defects);
        let node_names: BTreeSet<String> = pods.values().filter_map(|pod| pod.node_name.clone()).collect();
        let real = changes(&|pod| pod.node_name.clone());
        let mut tables = BTreeMap::new();
        for name in node_names {
            let planned = planned(&name, &real, &nodes);
            problems.extend(planned.refused.into_iter().map(|text| format!("Node {name}: {text}")));
            tables.insert(name, planned.tables);
        }
        Self { problems, pods, policies, has_made_up_addresses, nodes, tables, everywhere: everywhere.tables }
    }

    /// What becomes of packets between two ends: each end's node decides on its own.
    pub(super) fn verdict(&self, from: Spot<'_>, to: Spot<'_>, slice: Slice) -> Verdict {
        let question = Question {
            src: from.addr,
            dst: to.addr,
            protocol: slice.protocol.into(),
            port: Port::new(slice.first),
            from_node: 0,
        };
        let nodes: BTreeSet<&str> = from.node.into_iter().chain(to.node).collect();
        let verdicts = nodes.into_iter().filter_map(|node| self.tables.get(node)).map(|tables| {
            let mut ruling = Ruling::default();
            let audited = ruling_flags::AUDIT_EGRESS | ruling_flags::AUDIT_INGRESS;
            match judge(tables, &question, &mut ruling) {
                Err(_) => Verdict::Denied,
                Ok(()) if ruling.flags & audited != 0 => Verdict::Audited,
                Ok(()) => Verdict::Allowed,
            }
        });
        verdicts.min().unwrap_or(Verdict::Allowed)
    }

    /// What policies make of a Pod's address: what has the same behaves the same.
    pub(super) fn policing(&self, addr: Addr) -> Policing {
        let tables = &self.everywhere;
        tables.identities.get(&addr).map(|identity| identity.at(tables.generation)).unwrap_or_default()
    }

    /// The number of what an address that no Pod has is as a peer; 0: nothing in particular.
    pub(super) fn class(&self, addr: Addr) -> u32 {
        let block = proxy_common::policy::PolicyTables::block(&self.everywhere, &addr);
        block.map_or(0, |block| block.at(self.everywhere.generation))
    }

    /// Networks that policies name, exceptions among them.
    pub(super) fn networks(&self) -> BTreeSet<IpNetwork> {
        let rules = self.policies.iter().flat_map(|it| it.ingress.iter().chain(&it.egress).flatten());
        let blocks = rules.flat_map(|rule| rule.peers.iter().flatten()).filter_map(|peer| match peer {
            Peer::Block { cidr, except } => Some(std::iter::once(cidr).chain(except).copied()),
            Peer::Pods { .. } => None,
        });
        blocks.flatten().collect()
    }

    /// Addresses that somebody has.
    pub(super) fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        let of_nodes = self.nodes.iter().flat_map(|node| &node.internal_ips);
        self.pods.values().flat_map(|pod| &pod.ips).chain(of_nodes).copied()
    }

    /// A Pod as an end of a connection.
    pub(super) fn spot(&self, pod: &PodName, family: Family) -> Option<Spot<'_>> {
        let pod = self.pods.get(pod)?;
        let addr = pod.ips.iter().map(|ip| Addr::from(*ip)).find(|addr| addr.family() == family)?;
        Some(Spot { addr, node: pod.node_name.as_deref() })
    }
}

/// Gives each Pod what it doesn't have yet: a node of its own, and addresses that are in no network a policy is likely to
/// name. Returns whether there were any without an address.
fn settle(pods: &mut BTreeMap<PodName, Pod>) -> bool {
    let mut families: BTreeSet<bool> = pods.values().flat_map(|pod| &pod.ips).map(IpAddr::is_ipv6).collect();
    if families.is_empty() {
        families.insert(false);
    }
    let mut has_made_up = false;
    for (((namespace, name), pod), i) in pods.iter_mut().zip(0_u32..) {
        // A space is in no node's name.
        pod.node_name.get_or_insert_with(|| format!("that of {namespace}/{name}"));
        if pod.ips.is_empty() {
            has_made_up = true;
            pod.ips = families.iter().map(|is_v6| if *is_v6 { discarded(i) } else { reserved(i) }).collect();
        }
    }
    has_made_up
}

/// An address of the block that nobody has (class E, RFC 1112).
fn reserved(i: u32) -> IpAddr {
    Ipv4Addr::from((240 << 24) + 1 + i).into()
}

/// An address of the block that is only ever discarded (RFC 6666).
fn discarded(i: u32) -> IpAddr {
    Ipv6Addr::from((0x100 << 112) + 1 + u128::from(i)).into()
}

/// What an agent makes of objects.
struct Planned {
    tables: PlainTables,
    /// What of the objects can't be used.
    defects: Vec<String>,
    /// What the tables have no room for.
    refused: Vec<String>,
}

/// What the agent of `node` makes of `changes`.
fn planned(node: &str, changes: &[Change], nodes: &[Node]) -> Planned {
    let mut policies = Policies::new(node, PolicyMode::Enforce);
    for change in changes {
        policies.apply(change);
    }
    let mut plan = PolicyPlan::adopt(PolicyImage::default(), false);
    plan.update(&mut policies);
    let mut tables = plan.image().to_plain();
    let own = nodes.iter().filter(|it| it.name == node).flat_map(|it| &it.internal_ips);
    tables.addresses.extend(own.map(|ip| (Addr::from(*ip), Address { flags: address_flags::NODE })));
    Planned {
        tables,
        defects: policies.defects().map(|defect| defect.to_string()).collect(),
        refused: plan.refused().collect(),
    }
}
