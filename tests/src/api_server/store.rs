//! All objects, one growing resource version over all of them, and what became of them lately.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use serde_json::Value;

use super::kind::Kind;
use super::stored::{Key, Stored};

/// Changes that are remembered; a watch that begins before them is told that they are gone.
const HISTORY: usize = 10_000;

/// The objects of one kind.
type Objects = BTreeMap<Key, Arc<Stored>>;

/// The objects, and their history.
#[derive(Debug)]
pub(super) struct Store {
    objects: BTreeMap<Kind, Objects>,
    history: VecDeque<Arc<Change>>,
    revision: u64,
    /// The first revision of which all later changes are known.
    oldest: u64,
}

/// An object before and after.
#[derive(Debug)]
pub(super) struct Change {
    pub(super) revision: u64,
    pub(super) kind: &'static Kind,
    pub(super) before: Option<Arc<Stored>>,
    pub(super) after: Option<Arc<Stored>>,
}

/// Changes since then aren't known any more.
#[derive(Debug)]
pub(super) struct Gone {
    pub(super) asked: u64,
    pub(super) oldest: u64,
}

impl Default for Store {
    fn default() -> Self {
        Self { objects: BTreeMap::new(), history: VecDeque::new(), revision: 1, oldest: 1 }
    }
}

impl Store {
    /// The revision of the last change.
    pub(super) const fn revision(&self) -> u64 {
        self.revision
    }

    pub(super) fn get(&self, kind: &Kind, key: &Key) -> Option<Arc<Stored>> {
        self.objects.get(kind)?.get(key).cloned()
    }

    /// Creates an object or replaces it; one that is as it was keeps its revision.
    pub(super) fn put(&mut self, kind: &'static Kind, mut object: Value) -> Arc<Stored> {
        let before = self.get(kind, &Stored::key_of(kind, &object));
        if let Some(before) = &before {
            let was = before.value();
            for kept in ["uid", "creationTimestamp"] {
                object["metadata"][kept] = was["metadata"][kept].clone();
            }
            if Stored::new(kind, object.clone(), before.revision).item == before.item {
                return before.clone();
            }
        }
        let next = Arc::new(Stored::new(kind, object, self.revision + 1));
        self.objects.entry(*kind).or_default().insert(next.key.clone(), next.clone());
        self.record(kind, before, Some(next.clone()));
        next
    }

    /// Deletes an object; what it was.
    pub(super) fn delete(&mut self, kind: &'static Kind, key: &Key) -> Option<Arc<Stored>> {
        let before = self.objects.get_mut(kind)?.remove(key)?;
        self.record(kind, Some(before.clone()), None);
        Some(before)
    }

    /// The objects of a kind as they were at a revision, in the order of their keys.
    pub(super) fn list(&self, kind: &Kind, at: u64) -> Result<Objects, Gone> {
        let mut objects = self.objects.get(kind).cloned().unwrap_or_default();
        let later: Vec<_> = self.since(kind, at)?.collect();
        for change in later.into_iter().rev() {
            let key = change.before.as_ref().or(change.after.as_ref()).expect("a change has a side").key.clone();
            match &change.before {
                Some(before) => drop(objects.insert(key, before.clone())),
                None => drop(objects.remove(&key)),
            }
        }
        Ok(objects)
    }

    /// What became of a kind's objects after a revision.
    pub(super) fn since(&self, kind: &Kind, after: u64) -> Result<impl Iterator<Item = Arc<Change>>, Gone> {
        if after < self.oldest {
            return Err(Gone { asked: after, oldest: self.oldest });
        }
        let begin = self.history.partition_point(|change| change.revision <= after);
        Ok(self.history.range(begin..).filter(move |change| *change.kind == *kind).cloned())
    }

    /// Forgets all changes so far, as a compaction does after a write that no watch here hears of.
    pub(super) fn compact(&mut self) {
        self.revision += 1;
        self.oldest = self.revision;
        self.history.clear();
    }

    fn record(&mut self, kind: &'static Kind, before: Option<Arc<Stored>>, after: Option<Arc<Stored>>) {
        self.revision += 1;
        self.history.push_back(Arc::new(Change { revision: self.revision, kind, before, after }));
        if self.history.len() > HISTORY {
            let dropped = self.history.pop_front().expect("it is not empty");
            self.oldest = dropped.revision;
        }
    }
}
