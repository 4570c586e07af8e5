//! The endpoints of one set, each in its slot.

use std::collections::HashMap;

use proxy_common::addr::{Addr, Port};
use proxy_common::tables::{Backend, BackendKey, EndpointSet};

use super::Image;

/// What one set of a Service port holds: slots without a gap, edited in place.
#[derive(Debug)]
pub(super) struct Slots {
    service: u32,
    set: EndpointSet,
    backends: Vec<Backend>,
    /// Endpoint -> its slot, the first where it stands in two.
    slot_of: HashMap<(Addr, Port), usize>,
}

impl Slots {
    /// What `image` holds of `set`: the slots from 0 up to the first gap.
    pub(super) fn adopt(image: &Image, service: u32, set: EndpointSet) -> Self {
        let mut it = Self { service, set, backends: Vec::new(), slot_of: HashMap::new() };
        let held = image.backends.range(it.key(0)..=it.key(u32::MAX as usize));
        for (slot, (key, backend)) in held.enumerate() {
            if key.slot as usize != slot {
                break;
            }
            it.backends.push(*backend);
            it.slot_of.entry(identity(backend)).or_insert(slot);
        }
        it
    }

    /// Slots held.
    pub(super) fn len(&self) -> usize {
        self.backends.len()
    }

    /// Key of `slot`.
    pub(super) fn key(&self, slot: usize) -> BackendKey {
        BackendKey::new(self.service, self.set, slot as u32)
    }

    /// Puts `wanted` in the first slots: those that are there already stay where they are, the others take the places
    /// of those that go, then new slots; where the set shrinks, endpoints of the last slots move down. Returns the slots
    /// to write, in an order in which the old count may be read until the last of them.
    pub(super) fn place(&mut self, wanted: &[Backend]) -> Vec<(BackendKey, Backend)> {
        let mut taken = vec![false; wanted.len()];
        let mut writes = Vec::new();
        let mut homeless = Vec::new();
        for backend in wanted {
            match self.slot_of.get(&identity(backend)) {
                Some(&slot) if slot < wanted.len() => {
                    taken[slot] = true;
                    if self.backends[slot] != *backend {
                        self.backends[slot] = *backend;
                        writes.push((self.key(slot), *backend));
                    }
                }
                _ => homeless.push(*backend),
            }
        }
        let free = taken.iter().enumerate().filter(|(_, taken)| !**taken).map(|(slot, _)| slot);
        for (slot, backend) in free.zip(homeless) {
            self.write(slot, backend);
            writes.push((self.key(slot), backend));
        }
        writes
    }

    /// Forgets the slots from `count` on; returns their keys, last first.
    pub(super) fn truncate(&mut self, count: usize) -> Vec<BackendKey> {
        let mut keys = Vec::new();
        while self.backends.len() > count
            && let Some(backend) = self.backends.pop()
        {
            self.forget(self.backends.len(), &backend);
            keys.push(self.key(self.backends.len()));
        }
        keys
    }

    fn write(&mut self, slot: usize, backend: Backend) {
        if let Some(old) = self.backends.get(slot).copied() {
            self.forget(slot, &old);
            self.backends[slot] = backend;
        } else {
            self.backends.push(backend);
        }
        self.slot_of.insert(identity(&backend), slot);
    }

    fn forget(&mut self, slot: usize, backend: &Backend) {
        if self.slot_of.get(&identity(backend)) == Some(&slot) {
            self.slot_of.remove(&identity(backend));
        }
    }
}

fn identity(backend: &Backend) -> (Addr, Port) {
    (backend.addr, backend.port)
}
