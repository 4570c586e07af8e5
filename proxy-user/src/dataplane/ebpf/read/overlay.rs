//! The shared decisions on the pinned tables, asked "what would happen".

mod policy;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use aya::Pod;
use proxy_common::addr::Addr;
use proxy_common::drop::Reason;
use proxy_common::nat::{Added, FlowTables, SourcePorts};
use proxy_common::plain::PlainEntry;
use proxy_common::service::ServiceTables;
use proxy_common::tables::{
    Address, Affinity, AffinityKey, Backend, BackendKey, FlowKey, FlowRecord, Member, MemberKey, Service, ServiceKey,
    SourcePortKey, SourceRange,
};

use super::{HashTable, Pinned, ReadError};

/// The pinned tables and, above them, what a decision would write: that is seen by what it asks next, and lost with this.
pub struct Overlay<'a> {
    pinned: &'a Pinned,
    random: Cell<u32>,
    affinity: Layer<AffinityKey, Affinity>,
    flows: Layer<FlowKey, FlowRecord>,
    flows_new: Layer<FlowKey, FlowRecord>,
    /// The first look-up that failed: a decision has no word for it.
    failed: Cell<Option<ReadError>>,
}

impl<'a> Overlay<'a> {
    /// Nothing is written yet.
    #[must_use]
    pub fn new(pinned: &'a Pinned) -> Self {
        Self {
            pinned,
            random: Cell::new(0),
            affinity: Layer::default(),
            flows: Layer::default(),
            flows_new: Layer::default(),
            failed: Cell::new(None),
        }
    }

    /// Has each draw yield `number`.
    #[must_use]
    pub fn with_random(self, number: u32) -> Self {
        self.random.set(number);
        self
    }

    /// Whether the tables could be read; what was decided counts only then.
    pub fn check(self) -> Result<(), ReadError> {
        self.failed.into_inner().map_or(Ok(()), Err)
    }

    fn seen<T>(&self, looked_up: Result<Option<T>, ReadError>) -> Option<T> {
        looked_up.unwrap_or_else(|error| {
            self.failed.set(Some(self.failed.take().unwrap_or(error)));
            None
        })
    }
}

impl ServiceTables for Overlay<'_> {
    fn service(&self, key: &ServiceKey) -> Option<Service> {
        self.seen(self.pinned.services.get(key))
    }
    fn backend(&self, key: &BackendKey) -> Option<Backend> {
        self.seen(self.pinned.backends.get(key))
    }
    fn member(&self, key: &MemberKey) -> Option<Member> {
        self.seen(self.pinned.members.get(key))
    }
    fn address(&self, addr: &Addr) -> Option<Address> {
        self.seen(self.pinned.addresses.get(addr))
    }
    fn in_source_range(&self, service: u32, source: &Addr) -> bool {
        let source = SourceRange { service, addr: *source };
        self.seen(self.pinned.source_ranges.longest(&source)).is_some()
    }
    fn affinity(&self, key: &AffinityKey) -> Option<Affinity> {
        self.seen(self.affinity.get(&self.pinned.affinity, key)).map(|entry| entry.get())
    }
    fn bind_first(&self, key: &AffinityKey, affinity: &Affinity) -> bool {
        let is_first = self.affinity(key).is_none();
        if is_first {
            self.bind(key, affinity);
        }
        is_first
    }
    fn bind(&self, key: &AffinityKey, affinity: &Affinity) {
        self.affinity.put(key, affinity);
    }
    fn epoch(&self) -> u32 {
        self.seen(self.pinned.epoch().map(Some)).unwrap_or_default()
    }
    fn random(&self) -> u32 {
        self.random.get()
    }
    fn is_taking_over(&self) -> bool {
        // What is asked about is a connection that begins.
        false
    }
    fn leaves_new_flows(&self) -> bool {
        false
    }
}

impl FlowTables for Overlay<'_> {
    type Entry = PlainEntry;

    fn established(&self, key: &FlowKey) -> Option<PlainEntry> {
        self.seen(self.flows.get(&self.pinned.flows, key)).map(PlainEntry::from)
    }
    fn half_open(&self, key: &FlowKey) -> Option<PlainEntry> {
        self.seen(self.flows_new.get(&self.pinned.flows_new, key)).map(PlainEntry::from)
    }
    fn put_established(&self, key: &FlowKey, record: &FlowRecord) -> Result<(), Reason> {
        self.flows.put(key, record);
        Ok(())
    }
    fn add_half_open(&self, key: &FlowKey, record: &FlowRecord) -> Added {
        if self.half_open(key).is_some() {
            return Added::Taken;
        }
        self.flows_new.put(key, record);
        Added::New
    }
    fn remove_established(&self, key: &FlowKey) {
        self.flows.remove(key);
    }
    fn remove_half_open(&self, key: &FlowKey) {
        self.flows_new.remove(key);
    }
}

/// A search begins anywhere: which port it ends at is no part of what would happen.
impl SourcePorts for Overlay<'_> {
    fn next_port(&self, _key: &SourcePortKey) -> Option<u32> {
        None
    }
    fn set_next_port(&self, _key: &SourcePortKey, _next: u32) {}
}

/// What is written above one table, and what was read of it: `None` for an entry that is removed.
struct Layer<K, V>(RefCell<BTreeMap<K, Option<Rc<Cell<V>>>>>);

impl<K, V> Default for Layer<K, V> {
    fn default() -> Self {
        Self(RefCell::default())
    }
}

impl<K: Pod + Ord, V: Pod> Layer<K, V> {
    fn get(&self, table: &HashTable<K, V>, key: &K) -> Result<Option<Rc<Cell<V>>>, ReadError> {
        if let Some(entry) = self.0.borrow().get(key) {
            return Ok(entry.clone());
        }
        let read = table.get(key)?.map(|value| Rc::new(Cell::new(value)));
        self.0.borrow_mut().insert(*key, read.clone());
        Ok(read)
    }
    fn put(&self, key: &K, value: &V) {
        self.0.borrow_mut().insert(*key, Some(Rc::new(Cell::new(*value))));
    }
    fn remove(&self, key: &K) {
        self.0.borrow_mut().insert(*key, None);
    }
}
