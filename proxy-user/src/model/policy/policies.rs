//! What the NetworkPolicies of a cluster make of the addresses of its pods, as one node sees it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;

use ipnetwork::IpNetwork;
use proxy_common::tables::BLOCKS;

use super::addresses::{PodAddresses, ips};
use super::blocks::Blocks;
use super::index::SelectorIndex;
use super::namespaces::NamespaceTable;
use super::peers::Peers;
use super::pods::{PodId, PodTable};
use super::standing::port_number;
use super::{
    Changes, Direction, Namespaces, NetworkPolicy, Peer, PeerId, PeerRule, PolicyPort, PolicyRef, PolicyRule, PortName,
    Prefix, RulesId, RulesInUse,
};
use crate::model::{Change, Kind, Namespace, Object, Pod};

/// Whether what policies deny is denied.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum PolicyMode {
    /// It is.
    #[default]
    Enforce,
    /// It is reported and passes, whichever policy denies it.
    Audit,
}

/// The objects that policy is about, and what follows from them. It is told of one change at a time, looks at what that
/// touches, and remembers of which addresses and networks something else is true since.
#[derive(Debug)]
pub struct Policies {
    node_name: String,
    pub(super) mode: PolicyMode,
    pub(super) interfaces: BTreeMap<IpAddr, u32>,
    pod_cidrs: Vec<IpNetwork>,
    pub(super) namespaces: NamespaceTable,
    pub(super) pods: PodTable,
    pub(super) addresses: PodAddresses,
    pub(super) policies: BTreeMap<PolicyRef, PolicyEntry>,
    /// Whom the policies select.
    selectors: SelectorIndex<PolicyRef>,
    pub(super) rules: HashMap<RulesId, RulesInUse>,
    last_rules: u64,
    pub(super) peers: Peers,
    pub(super) blocks: Blocks,
    changes: Changes,
}

/// A policy, and whom it selects of this node.
#[derive(Debug)]
pub(super) struct PolicyEntry {
    pub(super) policy: NetworkPolicy,
    ingress: Option<RulesId>,
    egress: Option<RulesId>,
    selected: BTreeSet<PodId>,
}

impl PolicyEntry {
    pub(super) const fn rules(&self, direction: Direction) -> Option<RulesId> {
        match direction {
            Direction::Ingress => self.ingress,
            Direction::Egress => self.egress,
        }
    }

    fn namespaces(&self) -> Namespaces {
        Namespaces::Named(self.policy.namespace.clone())
    }
}

impl Policies {
    /// No policy, seen from the node `node_name`.
    #[must_use]
    pub fn new(node_name: impl Into<String>, mode: PolicyMode) -> Self {
        Self {
            node_name: node_name.into(),
            mode,
            interfaces: BTreeMap::new(),
            pod_cidrs: Vec::new(),
            namespaces: NamespaceTable::default(),
            pods: PodTable::default(),
            addresses: PodAddresses::default(),
            policies: BTreeMap::new(),
            selectors: SelectorIndex::default(),
            rules: HashMap::new(),
            last_rules: 0,
            peers: Peers::default(),
            blocks: Blocks::new(BLOCKS.max_entries as usize / 2),
            changes: Changes::default(),
        }
    }

    /// Takes in a change of a Pod, Namespace, Node or NetworkPolicy; others don't matter. A Node that is gone keeps its pod
    /// ranges: what is held there must not be let go by that.
    pub fn apply(&mut self, change: &Change) {
        match change {
            Change::Apply(Object::Pod(pod)) => self.set_pod(pod),
            Change::Apply(Object::Namespace(it)) => self.set_namespace(&it.name, Some(it.clone())),
            Change::Apply(Object::Node(node)) if node.name == self.node_name => {
                self.pod_cidrs.clone_from(&node.pod_cidrs);
            }
            Change::Apply(Object::NetworkPolicy(policy)) => self.set_policy(policy),
            Change::Delete(it) => match it.kind {
                Kind::Pod => self.remove_pod(&it.namespace, &it.name),
                Kind::Namespace => self.set_namespace(&it.name, None),
                Kind::NetworkPolicy => {
                    self.remove_policy(&PolicyRef { namespace: it.namespace.clone(), name: it.name.clone() });
                }
                _ => {}
            },
            Change::Apply(_) => {}
        }
    }

    /// The index of the interface that each address of this node's pods is behind, of those that are known.
    pub fn set_interfaces(&mut self, interfaces: BTreeMap<IpAddr, u32>) {
        let old = std::mem::replace(&mut self.interfaces, interfaces);
        let differs = |ip: &&IpAddr| old.get(ip) != self.interfaces.get(ip);
        self.changes.addresses.extend(old.keys().chain(self.interfaces.keys()).filter(differs));
    }

    /// What of the policies can't be used, each naming the object and the field.
    pub fn defects(&self) -> impl Iterator<Item = String> + '_ {
        let of_policies = self.policies.iter().flat_map(|(id, entry)| {
            entry.policy.defects.iter().map(move |defect| format!("NetworkPolicy {id}: {defect}"))
        });
        self.namespaces.defects().chain(of_policies)
    }

    /// Of what something else is true since this was last asked.
    pub(crate) fn take_changes(&mut self) -> Changes {
        std::mem::take(&mut self.changes)
    }

    /// All of which something is true.
    pub(crate) fn everything(&self) -> Changes {
        Changes { addresses: self.addresses.iter().collect(), networks: self.blocks.borders().collect() }
    }

    /// The ranges that Pods of this node have addresses from.
    pub(crate) fn pod_cidrs(&self) -> &[IpNetwork] {
        &self.pod_cidrs
    }

    /// Whether there is any policy, in use or not.
    pub(crate) fn has_policies(&self) -> bool {
        !self.policies.is_empty()
    }

    /// Rules in use.
    pub(crate) fn rules_of(&self, id: RulesId) -> Option<&RulesInUse> {
        self.rules.get(&id)
    }

    /// The addresses of this node's Pods.
    pub(crate) fn local_addresses(&self) -> impl Iterator<Item = IpAddr> {
        self.pods.local().flat_map(|(_, entry)| ips(&entry.pod))
    }

    /// The blocks that the tables have no room for, and the policies that name them.
    pub(crate) fn refused_blocks(&self) -> impl Iterator<Item = (IpNetwork, BTreeSet<&PolicyRef>)> {
        self.blocks.refused().filter_map(|id| {
            let Peer::Block { cidr, .. } = self.peers.get(id)? else { return None };
            let names = |rule: &PeerRule| rule.peers.as_ref().is_some_and(|peers| peers.contains(&id));
            let naming = self.rules.values().filter(|rules| rules.rules.iter().any(names));
            Some((*cidr, naming.map(|rules| &rules.policy).collect()))
        })
    }

    fn set_pod(&mut self, pod: &Pod) {
        if pod.host_network || pod.finished {
            return self.remove_pod(&pod.namespace, &pod.name);
        }
        // Readiness is about Services; it comes and goes, and changes nothing here.
        let pod = Pod { ready: true, ..pod.clone() };
        if let Some(id) = self.pods.id(&pod.namespace, &pod.name)
            && let Some(old) = self.pods.get(id)
        {
            if old.pod == pod {
                return;
            }
            self.addresses.remove(id, &old.pod);
            self.changes.addresses.extend(ips(&old.pod));
        }
        let local = pod.node_name.as_ref() == Some(&self.node_name);
        let id = self.pods.set(pod.clone(), local);
        self.addresses.insert(id, &pod);
        self.changes.addresses.extend(ips(&pod));
        self.find_peers(id);
        let policies = if local { self.selecting(&pod) } else { BTreeSet::new() };
        self.select(id, &policies);
    }

    fn remove_pod(&mut self, namespace: &str, name: &str) {
        let Some(id) = self.pods.id(namespace, name) else { return };
        let Some(entry) = self.pods.get(id) else { return };
        self.addresses.remove(id, &entry.pod);
        self.changes.addresses.extend(ips(&entry.pod));
        for peer in &entry.peers {
            self.peers.remove_pod(*peer, id);
        }
        self.select(id, &BTreeSet::new());
        self.pods.remove(id);
    }

    fn set_namespace(&mut self, name: &str, namespace: Option<Namespace>) {
        let labels = self.namespaces.labels(name).into_owned();
        let audit = namespace.as_ref().is_some_and(|it| it.audit);
        let old = self.namespaces.set(name, namespace);
        let pods: Vec<PodId> = self.pods.of_namespace(name).collect();
        if *self.namespaces.labels(name) != labels {
            pods.iter().for_each(|id| self.find_peers(*id));
        }
        if old.is_some_and(|it| it.audit) != audit {
            pods.iter().for_each(|id| self.look_at(*id));
        }
    }

    fn set_policy(&mut self, policy: &NetworkPolicy) {
        let id = policy.policy_ref();
        let old = self.policies.remove(&id);
        let mut rules = |direction: Direction| {
            let kept = old.as_ref().filter(|old| old.policy.rules(direction) == policy.rules(direction));
            let new = || {
                self.last_rules += 1;
                RulesId(self.last_rules)
            };
            policy.rules(direction)?;
            Some(kept.and_then(|old| old.rules(direction)).unwrap_or_else(new))
        };
        let (ingress, egress) = (rules(Direction::Ingress), rules(Direction::Egress));
        let namespace = Namespaces::Named(policy.namespace.clone());
        let in_namespace = self.pods.local().filter(|(_, entry)| entry.pod.namespace == policy.namespace);
        let selected = in_namespace.filter(|(_, entry)| policy.pod_selector.matches(&entry.pod.labels));
        let selected: BTreeSet<PodId> = selected.map(|(pod, _)| pod).collect();
        let entry = PolicyEntry { policy: policy.clone(), ingress, egress, selected };
        if !entry.selected.is_empty() {
            self.begin_use(&entry);
        }
        let before = old.map(|old| self.end(&id, old)).unwrap_or_default();
        self.selectors.insert(&id, &namespace, &policy.pod_selector);
        for pod in &entry.selected {
            if let Some(pod) = self.pods.get_mut(*pod) {
                pod.policies.insert(id.clone());
            }
        }
        before.union(&entry.selected).for_each(|pod| self.look_at(*pod));
        self.policies.insert(id, entry);
    }

    fn remove_policy(&mut self, id: &PolicyRef) {
        if let Some(old) = self.policies.remove(id) {
            self.end(id, old).into_iter().for_each(|pod| self.look_at(pod));
        }
    }

    /// A policy, taken out already, is no more. Returns the Pods it selected.
    fn end(&mut self, id: &PolicyRef, entry: PolicyEntry) -> BTreeSet<PodId> {
        self.selectors.remove(id, &entry.namespaces(), &entry.policy.pod_selector);
        for pod in &entry.selected {
            if let Some(pod) = self.pods.get_mut(*pod) {
                pod.policies.remove(id);
            }
        }
        if !entry.selected.is_empty() {
            self.end_use(&entry);
        }
        entry.selected
    }

    /// The policies that select a Pod.
    fn selecting(&self, pod: &Pod) -> BTreeSet<PolicyRef> {
        let candidates =
            self.selectors.candidates(&pod.namespace, &self.namespaces.labels(&pod.namespace), &pod.labels);
        let selects = |id: &&PolicyRef| {
            let entry = self.policies.get(*id);
            entry.is_some_and(|entry| entry.policy.pod_selector.matches(&pod.labels))
        };
        candidates.into_iter().filter(selects).cloned().collect()
    }

    /// A Pod is selected by `policies` and no others.
    fn select(&mut self, pod: PodId, policies: &BTreeSet<PolicyRef>) {
        let Some(entry) = self.pods.get_mut(pod) else { return };
        let old = std::mem::replace(&mut entry.policies, policies.clone());
        // First what begins, so that what both use stays in use.
        for id in policies.difference(&old) {
            self.change_selected(id, |selected| selected.insert(pod));
        }
        for id in old.difference(policies) {
            self.change_selected(id, |selected| selected.remove(&pod));
        }
    }

    fn change_selected(&mut self, id: &PolicyRef, change: impl FnOnce(&mut BTreeSet<PodId>) -> bool) {
        let Some(mut entry) = self.policies.remove(id) else { return };
        let was_in_use = !entry.selected.is_empty();
        if change(&mut entry.selected) {
            match (was_in_use, !entry.selected.is_empty()) {
                (false, true) => self.begin_use(&entry),
                (true, false) => self.end_use(&entry),
                _ => {}
            }
        }
        self.policies.insert(id.clone(), entry);
    }

    /// Finds out which peers in use a Pod is.
    fn find_peers(&mut self, id: PodId) {
        let Some(entry) = self.pods.get_mut(id) else { return };
        let namespace = &entry.pod.namespace;
        let peers = self.peers.selecting(namespace, &self.namespaces.labels(namespace), &entry.pod.labels);
        let old = std::mem::replace(&mut entry.peers, peers.clone());
        peers.difference(&old).for_each(|peer| self.peers.add_pod(*peer, id));
        old.difference(&peers).for_each(|peer| self.peers.remove_pod(*peer, id));
        if peers != old {
            self.look_at(id);
        }
    }

    fn look_at(&mut self, pod: PodId) {
        let Some(entry) = self.pods.get(pod) else { return };
        self.changes.addresses.extend(ips(&entry.pod));
    }

    fn begin_use(&mut self, entry: &PolicyEntry) {
        for direction in Direction::ALL {
            let (Some(id), Some(rules)) = (entry.rules(direction), entry.policy.rules(direction)) else { continue };
            if let Some(in_use) = self.rules.get_mut(&id) {
                in_use.uses += 1;
                continue;
            }
            let peer_rules = rules.iter().map(|rule| self.begin_rule(rule, direction)).collect();
            let ports = rules.iter().flat_map(|rule| rule.ports.iter().flatten());
            let port_names = ports.filter_map(PolicyPort::name).collect();
            let policy = entry.policy.policy_ref();
            self.rules.insert(id, RulesInUse { policy, direction, rules: peer_rules, port_names, uses: 1 });
        }
    }

    fn end_use(&mut self, entry: &PolicyEntry) {
        for direction in Direction::ALL {
            let Some(id) = entry.rules(direction) else { continue };
            let Some(in_use) = self.rules.get_mut(&id) else { continue };
            in_use.uses -= 1;
            if in_use.uses == 0
                && let Some(rules) = self.rules.remove(&id)
            {
                rules.rules.iter().for_each(|rule| self.end_rule(rule, direction));
            }
        }
    }

    fn begin_rule(&mut self, rule: &PolicyRule, direction: Direction) -> PeerRule {
        let peers: Option<BTreeSet<Peer>> = rule.peers.as_ref().map(|peers| peers.iter().cloned().collect());
        let peers = peers.map(|peers| peers.iter().map(|peer| self.begin_peer(peer)).collect::<BTreeSet<PeerId>>());
        let rule = PeerRule { peers, ports: rule.ports.clone() };
        for (peer, port) in egress_ports(&rule, direction) {
            if self.peers.acquire_port(peer, &port) {
                self.look_at_port(peer, &port);
            }
        }
        rule
    }

    fn end_rule(&mut self, rule: &PeerRule, direction: Direction) {
        for (peer, port) in egress_ports(rule, direction) {
            if self.peers.release_port(peer, &port) {
                self.look_at_port(peer, &port);
            }
        }
        for id in rule.peers.iter().flatten() {
            self.end_peer(*id);
        }
    }

    fn begin_peer(&mut self, peer: &Peer) -> PeerId {
        let (id, first) = self.peers.acquire(peer);
        if first {
            match peer {
                Peer::Pods { namespaces, pods } => {
                    for pod in self.pods.selected_by(&self.namespaces, namespaces, pods) {
                        self.peers.add_pod(id, pod);
                        if let Some(entry) = self.pods.get_mut(pod) {
                            entry.peers.insert(id);
                        }
                        self.look_at(pod);
                    }
                }
                Peer::Block { cidr, except } => {
                    self.blocks.insert(id, networks(*cidr, except));
                    self.look_at_network(*cidr);
                }
            }
        }
        id
    }

    fn end_peer(&mut self, id: PeerId) {
        let Some((peer, pods)) = self.peers.release(id) else { return };
        for pod in pods {
            if let Some(entry) = self.pods.get_mut(pod) {
                entry.peers.remove(&id);
            }
            self.look_at(pod);
        }
        if let Peer::Block { cidr, except } = peer {
            let networks = networks(cidr, &except);
            self.changes.networks.extend(networks.iter().copied().map(Prefix::from));
            for (id, networks) in self.blocks.remove(id, &networks) {
                let cidr = networks[0];
                self.blocks.insert(id, networks);
                self.look_at_network(cidr);
            }
            self.look_at_network(cidr);
        }
    }

    /// Which blocks hold the addresses of a network has changed.
    fn look_at_network(&mut self, network: IpNetwork) {
        let prefix = Prefix::from(network);
        self.changes.networks.extend(self.blocks.borders_within(prefix).chain([prefix, Prefix::all_ipv4()]));
        self.changes.addresses.extend(self.addresses.within(network));
    }

    /// Whether it matters what a named port is on the Pods that `peer` is, or on all, has changed.
    fn look_at_port(&mut self, peer: Option<PeerId>, port: &PortName) {
        let pods: Vec<PodId> = match peer {
            Some(id) => match self.peers.get(id) {
                Some(Peer::Block { cidr, .. }) => return self.changes.addresses.extend(self.addresses.within(*cidr)),
                _ => self.peers.pods(id).collect(),
            },
            None => {
                let has_port = self.pods.iter().filter(|(_, entry)| port_number(entry, port).is_some());
                has_port.map(|(id, _)| id).collect()
            }
        };
        pods.into_iter().for_each(|pod| self.look_at(pod));
    }
}

/// A block's CIDR and excepts.
fn networks(cidr: IpNetwork, except: &[IpNetwork]) -> Vec<IpNetwork> {
    std::iter::once(cidr).chain(except.iter().copied()).collect()
}

/// The named ports of an egress rule, with each of its peers. Those of ingress rules are found on the Pod they isolate.
fn egress_ports(rule: &PeerRule, direction: Direction) -> Vec<(Option<PeerId>, PortName)> {
    let names = rule.ports.iter().flatten().filter_map(PolicyPort::name);
    let names: BTreeSet<PortName> = if direction == Direction::Egress { names.collect() } else { BTreeSet::new() };
    let with = |peer: Option<PeerId>| names.iter().map(move |name| (peer, name.clone()));
    match &rule.peers {
        Some(peers) => peers.iter().flat_map(|peer| with(Some(*peer))).collect(),
        None => with(None).collect(),
    }
}
