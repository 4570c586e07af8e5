//! What the policies of a cluster make of the addresses of its pods, as one node sees it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;

use clap::ValueEnum;
use ipnetwork::IpNetwork;
use proxy_common::tables::BLOCKS;
use serde::{Deserialize, Serialize};

use super::addresses::{PodAddresses, ips};
use super::blocks::Blocks;
use super::index::SelectorIndex;
use super::namespaces::NamespaceTable;
use super::peers::Peers;
use super::pods::{PodId, PodTable};
use super::{Changes, Defect, Direction, Namespaces, NetworkPolicy, Peer, PeerRule, PolicyRef, RulesId, RulesInUse};

use crate::model::{Change, Kind, Namespace, Object, ObjectRef, Pod};

/// Whether what policies deny is denied.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
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
    pub(super) by_name: BTreeMap<PolicyRef, PolicyEntry>,
    /// Whom the policies select.
    selectors: SelectorIndex<PolicyRef>,
    pub(super) rules: HashMap<RulesId, RulesInUse>,
    last_rules: u64,
    pub(super) peers: Peers,
    pub(super) blocks: Blocks,
    pub(super) changes: Changes,
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
            by_name: BTreeMap::new(),
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

    /// What of the policies can't be used.
    pub fn defects(&self) -> impl Iterator<Item = Defect<'_>> {
        let of_policies = self.by_name.iter().flat_map(|(id, entry)| {
            let PolicyRef { namespace, name } = id.clone();
            let object = ObjectRef { kind: Kind::NetworkPolicy, namespace, name };
            entry.policy.defects.iter().map(move |text| Defect { object: object.clone(), text })
        });
        self.namespaces.defects().chain(of_policies)
    }

    /// The Pods that policy is about, of all nodes.
    pub fn pods(&self) -> impl Iterator<Item = &Pod> {
        self.pods.iter().map(|(_, entry)| &entry.pod)
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
        !self.by_name.is_empty()
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
        let policies = if local { self.selecting(&pod) } else { BTreeSet::new() };
        let id = self.pods.set(pod, local);
        if let Some(entry) = self.pods.get(id) {
            self.addresses.insert(id, &entry.pod);
        }
        self.look_at(id);
        self.find_peers(id);
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
            for id in &pods {
                self.find_peers(*id);
            }
        }
        if old.is_some_and(|it| it.audit) != audit {
            for id in pods {
                self.look_at(id);
            }
        }
    }

    fn set_policy(&mut self, policy: &NetworkPolicy) {
        let id = policy.policy_ref();
        let old = self.by_name.remove(&id);
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
        self.by_name.insert(id, entry);
    }

    fn remove_policy(&mut self, id: &PolicyRef) {
        if let Some(old) = self.by_name.remove(id) {
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
            let entry = self.by_name.get(*id);
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
        let Some(mut entry) = self.by_name.remove(id) else { return };
        let was_in_use = !entry.selected.is_empty();
        if change(&mut entry.selected) {
            match (was_in_use, !entry.selected.is_empty()) {
                (false, true) => self.begin_use(&entry),
                (true, false) => self.end_use(&entry),
                _ => {}
            }
        }
        self.by_name.insert(id.clone(), entry);
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

    pub(super) fn look_at(&mut self, pod: PodId) {
        let Some(entry) = self.pods.get(pod) else { return };
        self.changes.addresses.extend(ips(&entry.pod));
    }

    /// How many peers are looked at for a Pod with the label `app=APP`.
    #[cfg(test)]
    pub(crate) fn looked_at(&self, namespace: &str, app: &str) -> usize {
        let labels = BTreeMap::from([("app".to_owned(), app.to_owned())]);
        self.peers.candidates(namespace, &self.namespaces.labels(namespace), &labels)
    }
}
