//! The endpoints of one set, each in its slot.

use proxy_common::addr::{Addr, Port};
use proxy_common::tables::{Backend, BackendKey, EndpointSet};

use super::Image;

/// How many slots one set of a Service port holds, without a gap; they are edited in place. What is in them, the image has.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slots {
    service: u32,
    set: EndpointSet,
    count: usize,
}

impl Slots {
    /// What `image` holds of `set`: the slots from 0 up to the first gap.
    pub(super) fn adopt(image: &Image, service: u32, set: EndpointSet) -> Self {
        let it = Self { service, set, count: usize::MAX };
        let count = it.held(image).zip(0..).take_while(|((key, _), slot)| key.slot == *slot).count();
        Self { count, ..it }
    }

    /// Slots held.
    pub(super) const fn len(&self) -> usize {
        self.count
    }

    /// Key of `slot`.
    pub(super) fn key(&self, slot: usize) -> BackendKey {
        BackendKey::new(self.service, self.set, slot as u32)
    }

    fn held<'a>(&self, image: &'a Image) -> impl Iterator<Item = (&'a BackendKey, &'a Backend)> {
        image.backends.range(self.key(0)..=self.key(u32::MAX as usize)).take(self.count)
    }

    /// Puts `wanted` in the first slots: those that are there already stay where they are, the others take the places
    /// of those that go, then new slots; where the set shrinks, endpoints of the last slots move down. Returns the slots
    /// to write, in an order in which the old count may be read until the last of them.
    pub(super) fn place(&mut self, image: &Image, wanted: &[Backend]) -> Vec<(BackendKey, Backend)> {
        let held: Vec<Backend> = self.held(image).map(|(_, backend)| *backend).collect();
        let slot_of = SlotOf::new(&held);
        let mut taken = vec![false; wanted.len()];
        let mut writes = Vec::new();
        let mut homeless = Vec::new();
        for backend in wanted {
            match slot_of.get(backend) {
                Some(slot) if slot < wanted.len() => {
                    taken[slot] = true;
                    if held[slot] != *backend {
                        writes.push((self.key(slot), *backend));
                    }
                }
                _ => homeless.push(*backend),
            }
        }
        let free = taken.iter().enumerate().filter(|(_, taken)| !**taken).map(|(slot, _)| slot);
        writes.extend(free.zip(homeless).map(|(slot, backend)| (self.key(slot), backend)));
        self.count = self.count.max(wanted.len());
        writes
    }

    /// Forgets the slots from `count` on; returns their keys, last first.
    pub(super) fn truncate(&mut self, count: usize) -> impl Iterator<Item = BackendKey> + use<> {
        let slots = *self;
        self.count = self.count.min(count);
        (self.count..slots.count).rev().map(move |slot| slots.key(slot))
    }
}

/// Endpoint -> its slot, the first where it stands in two.
struct SlotOf(Vec<((Addr, Port), usize)>);

impl SlotOf {
    fn new(backends: &[Backend]) -> Self {
        let mut slots: Vec<_> = backends.iter().enumerate().map(|(slot, backend)| (identity(backend), slot)).collect();
        slots.sort_unstable();
        slots.dedup_by_key(|(identity, _)| *identity);
        Self(slots)
    }

    fn get(&self, backend: &Backend) -> Option<usize> {
        let at = self.0.binary_search_by_key(&identity(backend), |(identity, _)| *identity).ok()?;
        Some(self.0[at].1)
    }
}

const fn identity(backend: &Backend) -> (Addr, Port) {
    (backend.addr, backend.port)
}
