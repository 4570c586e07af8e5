//! The Pods that policy is about: not those on their host's network, nor those that finished.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::PolicyRef;
use super::namespaces::NamespaceTable;
use super::peers::PeerId;
use super::shared::Shared;
use super::{Namespaces, Selector};
use crate::model::Pod;

/// A Pod, in the order in which they were first heard of.
pub(super) type PodId = u64;

/// A Pod, and who selects it.
#[derive(Debug)]
pub(super) struct PodEntry {
    pub(super) pod: Pod,
    /// It is on this node.
    pub(super) local: bool,
    /// The peers in use that are it.
    pub(super) peers: BTreeSet<PeerId>,
    /// The policies that select it, if it is local.
    pub(super) policies: BTreeSet<PolicyRef>,
}

/// Every Pod, and which of them have a label.
#[derive(Default, Debug)]
pub(super) struct PodTable {
    entries: BTreeMap<PodId, Box<PodEntry>>,
    labels: Shared<BTreeMap<String, String>>,
    /// By namespace and name.
    ids: HashMap<String, HashMap<String, PodId>>,
    by_label: HashMap<(String, String), BTreeMap<String, BTreeSet<PodId>>>,
    by_namespace: BTreeMap<String, BTreeSet<PodId>>,
    local: BTreeSet<PodId>,
    next: PodId,
}

impl PodTable {
    pub(super) fn id(&self, namespace: &str, name: &str) -> Option<PodId> {
        self.ids.get(namespace)?.get(name).copied()
    }

    pub(super) fn get(&self, id: PodId) -> Option<&PodEntry> {
        self.entries.get(&id).map(Box::as_ref)
    }

    pub(super) fn get_mut(&mut self, id: PodId) -> Option<&mut PodEntry> {
        self.entries.get_mut(&id).map(Box::as_mut)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (PodId, &PodEntry)> {
        self.entries.iter().map(|(id, entry)| (*id, &**entry))
    }

    /// Those of this node.
    pub(super) fn local(&self) -> impl Iterator<Item = (PodId, &PodEntry)> {
        self.local.iter().filter_map(|id| Some((*id, self.get(*id)?)))
    }

    pub(super) fn of_namespace(&self, namespace: &str) -> impl Iterator<Item = PodId> {
        self.by_namespace.get(namespace).into_iter().flatten().copied()
    }

    /// Puts a Pod in the place of the one of its name, whose number and selectors it keeps until they are looked at anew.
    pub(super) fn set(&mut self, mut pod: Pod, local: bool) -> PodId {
        let next = self.next;
        let of_namespace = self.ids.entry(pod.namespace.clone()).or_default();
        let id = *of_namespace.entry(pod.name.clone()).or_insert(next);
        if id == next {
            self.next += 1;
            self.by_namespace.entry(pod.namespace.clone()).or_default().insert(id);
        }
        let old = self.entries.remove(&id);
        let (peers, policies) = old.map_or_else(Default::default, |old| {
            let PodEntry { pod, peers, policies, .. } = *old;
            self.forget_labels(id, &pod);
            (peers, policies)
        });
        pod.labels = self.labels.share(&pod.labels);
        for (key, value) in &*pod.labels {
            let of_label = self.by_label.entry((key.clone(), value.clone())).or_default();
            of_label.entry(pod.namespace.clone()).or_default().insert(id);
        }
        if local {
            self.local.insert(id);
        } else {
            self.local.remove(&id);
        }
        self.entries.insert(id, Box::new(PodEntry { pod, local, peers, policies }));
        id
    }

    pub(super) fn remove(&mut self, id: PodId) {
        let Some(entry) = self.entries.remove(&id) else { return };
        self.local.remove(&id);
        remove_from(&mut self.by_namespace, &entry.pod.namespace, id);
        if let Some(of_namespace) = self.ids.get_mut(&entry.pod.namespace) {
            of_namespace.remove(&entry.pod.name);
            if of_namespace.is_empty() {
                self.ids.remove(&entry.pod.namespace);
            }
        }
        self.forget_labels(id, &entry.pod);
    }

    fn forget_labels(&mut self, id: PodId, pod: &Pod) {
        for (key, value) in &*pod.labels {
            let label = (key.clone(), value.clone());
            let Some(of_label) = self.by_label.get_mut(&label) else { continue };
            remove_from(of_label, &pod.namespace, id);
            if of_label.is_empty() {
                self.by_label.remove(&label);
            }
        }
        self.labels.release(&pod.labels);
    }

    /// The Pods that a selector selects, looked for among those with a label it requires.
    pub(super) fn selected_by(&self, table: &NamespaceTable, namespaces: &Namespaces, pods: &Selector) -> Vec<PodId> {
        let mut selected = Vec::new();
        let mut take = |namespace: &str, ids: &BTreeSet<PodId>| {
            if table.is_of(namespace, namespaces) {
                let is_selected = |id: &&PodId| self.get(**id).is_some_and(|entry| pods.matches(&entry.pod.labels));
                selected.extend(ids.iter().filter(is_selected));
            }
        };
        let Some((key, values)) = pods.required_label() else {
            of(&self.by_namespace, namespaces).for_each(|(namespace, ids)| take(namespace, ids));
            return selected;
        };
        for value in values {
            let Some(of_label) = self.by_label.get(&(key.to_owned(), value.clone())) else { continue };
            of(of_label, namespaces).for_each(|(namespace, ids)| take(namespace, ids));
        }
        selected
    }
}

/// Of the Pods by namespace, those that may be in one of `namespaces`.
fn of<'a>(
    by_namespace: &'a BTreeMap<String, BTreeSet<PodId>>,
    namespaces: &Namespaces,
) -> impl Iterator<Item = (&'a String, &'a BTreeSet<PodId>)> {
    let (named, all) = match namespaces {
        Namespaces::Named(name) => (by_namespace.get_key_value(name), None),
        Namespaces::Matching(_) => (None, Some(by_namespace.iter())),
    };
    named.into_iter().chain(all.into_iter().flatten())
}

fn remove_from(by_namespace: &mut BTreeMap<String, BTreeSet<PodId>>, namespace: &str, id: PodId) {
    let Some(ids) = by_namespace.get_mut(namespace) else { return };
    ids.remove(&id);
    if ids.is_empty() {
        by_namespace.remove(namespace);
    }
}
