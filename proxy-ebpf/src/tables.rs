//! The shared decisions' look-ups, on the maps.

use aya_ebpf::bindings::{BPF_ANY, BPF_NOEXIST};
use aya_ebpf::cty::c_void;
use aya_ebpf::helpers::bpf_get_prandom_u32;
use aya_ebpf::helpers::generated::bpf_loop;
use aya_ebpf::maps::lpm_trie::Key;
use proxy_common::addr::Addr;
use proxy_common::drop::Reason;
use proxy_common::flow::State;
use proxy_common::fragment::FragmentTables;
use proxy_common::nat::{Added, FlowEntry, FlowTables, SourcePorts};
use proxy_common::service::ServiceTables;
use proxy_common::tables::{
    Address, Affinity, AffinityKey, Backend, BackendKey, FlowKey, FlowRecord, Fragment, FragmentKey, Member, MemberKey,
    Service, ServiceKey, SourcePortKey, SourceRange,
};
use proxy_common::takeover;

use crate::maps::{
    ADDRESSES, AFFINITY, BACKENDS, EPOCH, FLOWS, FLOWS_NEW, FRAGMENTS, MEMBERS, SERVICES, SOURCE_PORTS, SOURCE_RANGES,
    TAKEOVER,
};

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
    fn member(&self, key: &MemberKey) -> Option<Member> {
        // SAFETY: as above.
        unsafe { MEMBERS.get(key) }.copied()
    }

    #[inline(always)]
    fn address(&self, addr: &Addr) -> Option<Address> {
        // SAFETY: as above.
        unsafe { ADDRESSES.get(addr) }.copied()
    }

    #[inline(never)]
    fn in_source_range(&self, service: u32, source: &Addr) -> bool {
        let source = SourceRange { service, addr: *source };
        SOURCE_RANGES.get(Key::new(SourceRange::BITS, source)).is_some()
    }

    #[inline(always)]
    fn affinity(&self, key: &AffinityKey) -> Option<Affinity> {
        // SAFETY: as above. An LRU map may give the element to another client meanwhile; what was copied is checked to be
        // an endpoint of the Service port before it is used.
        unsafe { AFFINITY.get(key) }.copied()
    }

    #[inline(always)]
    fn bind_first(&self, key: &AffinityKey, affinity: &Affinity) -> bool {
        AFFINITY.insert(key, affinity, u64::from(BPF_NOEXIST)).is_ok()
    }

    #[inline(always)]
    fn bind(&self, key: &AffinityKey, affinity: &Affinity) {
        // A table without room costs the client its affinity, not its connection.
        let _ = AFFINITY.insert(key, affinity, u64::from(BPF_ANY));
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

    #[inline(always)]
    fn is_taking_over(&self) -> bool {
        TAKEOVER.get(0).is_some_and(|takeover| *takeover != takeover::OVER)
    }

    #[inline(always)]
    fn leaves_new_flows(&self) -> bool {
        TAKEOVER.get(0).is_some_and(|takeover| *takeover == takeover::ALL)
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
    fn copy_to(&self, record: &mut FlowRecord) {
        // SAFETY: as above; a record that may be written is the caller's alone, so no element of these tables.
        unsafe { core::ptr::copy_nonoverlapping(self.0, record, 1) }
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

    #[inline(always)]
    fn set_policy(&self, generation: u32) {
        // SAFETY: as above, and writable.
        unsafe { (*self.0).policy = generation }
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

impl SourcePorts for Maps {
    #[inline(always)]
    fn next_port(&self, key: &SourcePortKey) -> Option<u32> {
        // SAFETY: as above.
        unsafe { SOURCE_PORTS.get(key) }.copied()
    }

    #[inline(always)]
    fn set_next_port(&self, key: &SourcePortKey, next: u32) {
        // Without room it is forgotten, as the trait allows.
        let _ = SOURCE_PORTS.insert(key, next, u64::from(BPF_ANY));
    }

    #[inline(always)]
    fn repeat<F: FnMut() -> bool>(&self, most: u32, mut step: F) {
        // SAFETY: the kernel calls `once` with `step` and only before it returns.
        unsafe { bpf_loop(most, once::<F> as *mut c_void, (&raw mut step).cast(), 0) };
    }
}

/// One round of `bpf_loop`, which ends it by returning 1.
unsafe extern "C" fn once<F: FnMut() -> bool>(_round: u32, step: *mut c_void) -> i64 {
    // SAFETY: the caller's `step`, which nothing else uses meanwhile.
    i64::from(unsafe { (*step.cast::<F>())() })
}

const EEXIST: i32 = -17;
