//! The peers of the policies in use, and which Pods they are.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::Peer;
use super::index::SelectorIndex;
use super::pods::PodId;
use crate::model::Protocol;

/// A peer in use. A number is never used again, so it means the same to whoever has seen it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct PeerId(pub(super) u64);

/// A named port of a Pod.
pub(crate) type PortName = (String, Protocol);

/// Every peer in use, equal ones once.
#[derive(Default, Debug)]
pub(super) struct Peers {
    ids: HashMap<Peer, PeerId>,
    entries: HashMap<PeerId, Entry>,
    index: SelectorIndex<PeerId>,
    /// Named ports that egress rules have with a peer, or (`None`) with everybody; how many do.
    ports: HashMap<Option<PeerId>, BTreeMap<PortName, usize>>,
    next: u64,
}

#[derive(Debug)]
struct Entry {
    peer: Peer,
    uses: usize,
    pods: BTreeSet<PodId>,
}

impl Peers {
    /// One more rule has this peer. Says whether it is the first.
    pub(super) fn acquire(&mut self, peer: &Peer) -> (PeerId, bool) {
        if let Some(id) = self.ids.get(peer) {
            if let Some(entry) = self.entries.get_mut(id) {
                entry.uses += 1;
            }
            return (*id, false);
        }
        self.next += 1;
        let id = PeerId(self.next);
        self.ids.insert(peer.clone(), id);
        self.entries.insert(id, Entry { peer: peer.clone(), uses: 1, pods: BTreeSet::new() });
        if let Peer::Pods { namespaces, pods } = peer {
            self.index.insert(&id, namespaces, pods);
        }
        (id, true)
    }

    /// One rule less has this peer. Returns it, with the Pods that it was, if that was the last.
    pub(super) fn release(&mut self, id: PeerId) -> Option<(Peer, BTreeSet<PodId>)> {
        let entry = self.entries.get_mut(&id)?;
        entry.uses -= 1;
        if entry.uses != 0 {
            return None;
        }
        let entry = self.entries.remove(&id)?;
        self.ids.remove(&entry.peer);
        if let Peer::Pods { namespaces, pods } = &entry.peer {
            self.index.remove(&id, namespaces, pods);
        }
        Some((entry.peer, entry.pods))
    }

    pub(super) fn get(&self, id: PeerId) -> Option<&Peer> {
        self.entries.get(&id).map(|entry| &entry.peer)
    }

    /// The Pods that a peer is by selector.
    pub(super) fn pods(&self, id: PeerId) -> impl Iterator<Item = PodId> {
        self.entries.get(&id).into_iter().flat_map(|entry| &entry.pods).copied()
    }

    pub(super) fn add_pod(&mut self, id: PeerId, pod: PodId) {
        if let Some(entry) = self.entries.get_mut(&id) {
            entry.pods.insert(pod);
        }
    }

    pub(super) fn remove_pod(&mut self, id: PeerId, pod: PodId) {
        if let Some(entry) = self.entries.get_mut(&id) {
            entry.pods.remove(&pod);
        }
    }

    /// The peers that a Pod is by its labels, in a namespace of this name and these labels.
    pub(super) fn selecting(
        &self,
        namespace: &str,
        namespace_labels: &BTreeMap<String, String>,
        labels: &BTreeMap<String, String>,
    ) -> BTreeSet<PeerId> {
        let candidates = self.index.candidates(namespace, namespace_labels, labels);
        let selects = |id: &PeerId| match self.get(*id) {
            Some(Peer::Pods { namespaces, pods }) => {
                namespaces.holds(namespace, namespace_labels) && pods.matches(labels)
            }
            _ => false,
        };
        candidates.into_iter().copied().filter(selects).collect()
    }

    /// How many peers are looked at for such a Pod.
    #[cfg(test)]
    pub(super) fn candidates(
        &self,
        namespace: &str,
        namespace_labels: &BTreeMap<String, String>,
        labels: &BTreeMap<String, String>,
    ) -> usize {
        self.index.candidates(namespace, namespace_labels, labels).len()
    }

    /// One more egress rule has a named port with `peer`. Says whether it is the first.
    pub(super) fn acquire_port(&mut self, peer: Option<PeerId>, port: &PortName) -> bool {
        let uses = self.ports.entry(peer).or_default().entry(port.clone()).or_default();
        *uses += 1;
        *uses == 1
    }

    /// One less has. Says whether it was the last.
    pub(super) fn release_port(&mut self, peer: Option<PeerId>, port: &PortName) -> bool {
        let Some(ports) = self.ports.get_mut(&peer) else { return false };
        let Some(uses) = ports.get_mut(port) else { return false };
        *uses -= 1;
        if *uses != 0 {
            return false;
        }
        ports.remove(port);
        if ports.is_empty() {
            self.ports.remove(&peer);
        }
        true
    }

    /// Named ports that egress rules have with `peer`.
    pub(super) fn ports(&self, peer: Option<PeerId>) -> impl Iterator<Item = &PortName> {
        self.ports.get(&peer).into_iter().flat_map(BTreeMap::keys)
    }
}
