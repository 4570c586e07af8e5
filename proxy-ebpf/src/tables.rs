//! The shared decisions' look-ups, on the maps.

use aya_ebpf::bindings::{BPF_ANY, BPF_NOEXIST};
use aya_ebpf::helpers::bpf_get_prandom_u32;
use proxy_common::addr::Addr;
use proxy_common::drop::Reason;
use proxy_common::flow::State;
use proxy_common::fragment::FragmentTables;
use proxy_common::nat::{Added, FlowEntry, FlowTables};
use proxy_common::service::ServiceTables;
use proxy_common::tables::{
    Backend, BackendKey, FlowKey, FlowRecord, Fragment, FragmentKey, MemberKey, NodeAddress, Service, ServiceKey,
};

use crate::maps::{BACKENDS, EPOCH, FLOWS, FLOWS_NEW, FRAGMENTS, MEMBERS, NODE_ADDRESSES, SERVICES};

/// The pinned maps.
#[derive(Clone, Copy)]
pub(crate) struct Maps;

impl ServiceTables for Maps {
    #[inline(always)]
    fn service(&self, key: &ServiceKey) -> Option<Service> {
        // SAFETY: the kernel keeps the element's memory readable until the program ends, and it is copied at once.
        unsafe { SERVICES.get(key) }.copied()
    }

    #[inline(always)]
    fn backend(&self, key: &BackendKey) -> Option<Backend> {
        // SAFETY: as above.
        unsafe { BACKENDS.get(key) }.copied()
    }

    #[inline(always)]
    fn is_member(&self, key: &MemberKey) -> bool {
        MEMBERS.get_ptr(key).is_some()
    }

    #[inline(always)]
    fn node_address(&self, addr: &Addr) -> Option<NodeAddress> {
        // SAFETY: as above.
        unsafe { NODE_ADDRESSES.get(addr) }.copied()
    }

    #[inline(always)]
    fn epoch(&self) -> u32 {
        EPOCH.get(0).copied().unwrap_or_default()
    }

    #[inline(always)]
    fn random(&self) -> u32 {
        // SAFETY: the helper takes nothing and only returns a number.
        unsafe { bpf_get_prandom_u32() }
    }
}

/// A record in its map.
pub(crate) struct Entry(*mut FlowRecord);

// Another CPU may write the same record at the same time: each of these fields is one aligned word, so a reader finds
// the one or the other value, and either is true of the flow. Addresses and ports are never written in place.
impl FlowEntry for Entry {
    #[inline(always)]
    fn record(&self) -> FlowRecord {
        // SAFETY: the kernel keeps an element it has returned readable until the program ends.
        unsafe { *self.0 }
    }

    #[inline(always)]
    fn set_last_seen(&self, now: u32) {
        // SAFETY: as above, and writable.
        unsafe { (*self.0).last_seen = now }
    }

    #[inline(always)]
    fn set_state(&self, state: State) {
        // SAFETY: as above, and writable.
        unsafe { (*self.0).state = state as u32 }
    }

    #[inline(always)]
    fn set_epoch(&self, epoch: u32) {
        // SAFETY: as above, and writable.
        unsafe { (*self.0).epoch = epoch }
    }
}

impl FlowTables for Maps {
    type Entry = Entry;

    #[inline(always)]
    fn established(&self, key: &FlowKey) -> Option<Entry> {
        FLOWS.get_ptr_mut(key).map(Entry)
    }

    #[inline(always)]
    fn half_open(&self, key: &FlowKey) -> Option<Entry> {
        FLOWS_NEW.get_ptr_mut(key).map(Entry)
    }

    #[inline(always)]
    fn put_established(&self, key: &FlowKey, record: &FlowRecord) -> Result<(), Reason> {
        FLOWS.insert(key, record, u64::from(BPF_ANY)).map_err(|_| Reason::FlowTableFull)
    }

    #[inline(always)]
    fn add_half_open(&self, key: &FlowKey, record: &FlowRecord) -> Added {
        match FLOWS_NEW.insert(key, record, u64::from(BPF_NOEXIST)) {
            Ok(()) => Added::New,
            Err(EEXIST) => Added::Taken,
            Err(_) => Added::Full,
        }
    }

    #[inline(always)]
    fn remove_established(&self, key: &FlowKey) {
        // Not being there is what is asked for.
        let _ = FLOWS.remove(key);
    }

    #[inline(always)]
    fn remove_half_open(&self, key: &FlowKey) {
        let _ = FLOWS_NEW.remove(key);
    }
}

impl FragmentTables for Maps {
    #[inline(always)]
    fn fragment(&self, key: &FragmentKey) -> Option<Fragment> {
        // SAFETY: the kernel keeps the element's memory readable until the program ends, and it is copied at once.
        unsafe { FRAGMENTS.get(key) }.copied()
    }

    #[inline(always)]
    fn put_fragment(&self, key: &FragmentKey, fragment: &Fragment) {
        // An LRU table makes room. Where even that fails, the datagram's other fragments pass as nobody's.
        let _ = FRAGMENTS.insert(key, fragment, u64::from(BPF_ANY));
    }
}

const EEXIST: i32 = -17;
