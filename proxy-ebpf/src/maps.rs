//! Every map, and the switches the agent sets before it loads the programs.

use aya_ebpf::Global;
use aya_ebpf::bindings::BPF_F_NO_PREALLOC;
use aya_ebpf::macros::map;
use aya_ebpf::maps::{Array, HashMap, LpmTrie, LruHashMap, PerCpuArray, PerCpuHashMap, RingBuf};
use proxy_common::addr::Addr;
use proxy_common::drop::Reason;
use proxy_common::event::{Listening, Told};
use proxy_common::packet::Packet;
use proxy_common::policy::{Question, Ruling};
use proxy_common::tables::{
    self, Address, Affinity, AffinityKey, Backend, BackendKey, Block, Device, FlowKey, FlowRecord, Fragment,
    FragmentKey, Identity, Member, MemberKey, PodNetwork, PolicyName, Rule, RuleKey, Service, ServiceKey, ServiceName,
    SetPolicy, SocketKey, SocketPeer, SourcePortKey, SourceRange,
};

use crate::tc::Way;

// Without preallocation a hash costs memory for what it holds. An element that is removed under a reader stays readable,
// but since Linux 6.1 (commit fba1a1c6c912) it may become another at once, as in a preallocated map: readers copy first.
#[map]
pub(crate) static SERVICES: HashMap<ServiceKey, Service> =
    HashMap::with_max_entries(tables::SERVICES.max_entries, BPF_F_NO_PREALLOC);
#[map]
pub(crate) static BACKENDS: HashMap<BackendKey, Backend> =
    HashMap::with_max_entries(tables::BACKENDS.max_entries, BPF_F_NO_PREALLOC);
#[map]
pub(crate) static MEMBERS: HashMap<MemberKey, Member> =
    HashMap::with_max_entries(tables::MEMBERS.max_entries, BPF_F_NO_PREALLOC);
// No program reads it: the map lives here so that all are made in one place.
#[map]
static SERVICE_NAMES: HashMap<u32, ServiceName> =
    HashMap::with_max_entries(tables::SERVICE_NAMES.max_entries, BPF_F_NO_PREALLOC);
#[map]
pub(crate) static FLOWS: HashMap<FlowKey, FlowRecord> =
    HashMap::with_max_entries(tables::FLOWS.max_entries, BPF_F_NO_PREALLOC);
#[map]
pub(crate) static FLOWS_NEW: LruHashMap<FlowKey, FlowRecord> =
    LruHashMap::with_max_entries(tables::FLOWS_NEW.max_entries, 0);
#[map]
pub(crate) static SOURCE_PORTS: LruHashMap<SourcePortKey, u32> =
    LruHashMap::with_max_entries(tables::SOURCE_PORTS.max_entries, 0);
#[map]
pub(crate) static SOCK_BACKEND: LruHashMap<SocketKey, SocketPeer> =
    LruHashMap::with_max_entries(tables::SOCK_BACKEND.max_entries, 0);
#[map]
pub(crate) static SOCK_ORIGIN: LruHashMap<SocketKey, SocketPeer> =
    LruHashMap::with_max_entries(tables::SOCK_ORIGIN.max_entries, 0);
#[map]
pub(crate) static FRAGMENTS: LruHashMap<FragmentKey, Fragment> =
    LruHashMap::with_max_entries(tables::FRAGMENTS.max_entries, 0);
/// Fragments that came before the first of their datagram. Nobody else reads it, and what is in it is worth nothing in a
/// second: it isn't pinned.
#[map]
pub(crate) static HELD: LruHashMap<HeldKey, Held> = LruHashMap::with_max_entries(512, 0);
#[map]
pub(crate) static ADDRESSES: HashMap<Addr, Address> =
    HashMap::with_max_entries(tables::ADDRESSES.max_entries, BPF_F_NO_PREALLOC);
#[map]
pub(crate) static AFFINITY: LruHashMap<AffinityKey, Affinity> =
    LruHashMap::with_max_entries(tables::AFFINITY.max_entries, 0);
#[map]
pub(crate) static SOURCE_RANGES: LpmTrie<SourceRange, u32> =
    LpmTrie::with_max_entries(tables::SOURCE_RANGES.max_entries, BPF_F_NO_PREALLOC);
#[map]
pub(crate) static IDENTITIES: HashMap<Addr, Identity> =
    HashMap::with_max_entries(tables::IDENTITIES.max_entries, BPF_F_NO_PREALLOC);
#[map]
pub(crate) static BLOCKS: LpmTrie<Addr, Block> =
    LpmTrie::with_max_entries(tables::BLOCKS.max_entries, BPF_F_NO_PREALLOC);
#[map]
pub(crate) static RULES: LpmTrie<RuleKey, Rule> =
    LpmTrie::with_max_entries(tables::RULES.max_entries, BPF_F_NO_PREALLOC);
// Nor does any program read these two.
#[map]
static POLICY_NAMES: HashMap<u32, PolicyName> =
    HashMap::with_max_entries(tables::POLICY_NAMES.max_entries, BPF_F_NO_PREALLOC);
#[map]
static SET_POLICIES: HashMap<SetPolicy, u32> =
    HashMap::with_max_entries(tables::SET_POLICIES.max_entries, BPF_F_NO_PREALLOC);
#[map]
pub(crate) static RULE_HITS: PerCpuHashMap<Rule, u64> =
    PerCpuHashMap::with_max_entries(tables::RULE_HITS.max_entries, BPF_F_NO_PREALLOC);
#[map]
pub(crate) static POLICY_GENERATION: Array<u32> = Array::with_max_entries(tables::POLICY_GENERATION.max_entries, 0);
#[map]
pub(crate) static POD_NETWORK: Array<PodNetwork> = Array::with_max_entries(tables::POD_NETWORK.max_entries, 0);
#[map]
pub(crate) static DEVICES: HashMap<u32, Device> =
    HashMap::with_max_entries(tables::DEVICES.max_entries, BPF_F_NO_PREALLOC);
#[map]
pub(crate) static EPOCH: Array<u32> = Array::with_max_entries(tables::EPOCH.max_entries, 0);
/// Where the tc programs keep what would crowd their stack of 512 bytes. They don't interrupt one another on a CPU, but
/// one that replays a held fragment at an egress hook runs another: that has the second entry.
#[map]
pub(crate) static SCRATCH: PerCpuArray<Scratch> = PerCpuArray::with_max_entries(2, 0);
#[map]
static DROPS: PerCpuArray<u64> = PerCpuArray::with_max_entries(tables::DROPS.max_entries, 0);
#[map]
static AUDITS: PerCpuArray<u64> = PerCpuArray::with_max_entries(tables::AUDITS.max_entries, 0);
// What is told of packets is for the agent that runs now: these are not pinned.
#[map]
pub(crate) static EVENTS: RingBuf = RingBuf::with_byte_size(512 << 10, 0);
#[map]
pub(crate) static LISTENING: Array<Listening> = Array::with_max_entries(1, 0);
#[map]
pub(crate) static TOLD: PerCpuArray<Told> = PerCpuArray::with_max_entries(1, 0);

/// What of Services is another proxy's ([`proxy_common::takeover`]). Each agent looks for itself: it isn't pinned.
#[map]
pub(crate) static TAKEOVER: Array<u32> = Array::with_max_entries(1, 0);

/// A packet under way. Zero bytes make up a value of each.
pub(crate) struct Scratch {
    pub(crate) packet: Packet,
    pub(crate) record: FlowRecord,
    /// What the verdict is asked, and what it answers. Only [`crate::policy`] writes them.
    pub(crate) question: Question,
    pub(crate) ruling: Ruling,
    /// Where it goes if it is handed to a pod of this node.
    pub(crate) way: Way,
    /// Most bytes of IP that its way takes, where it has more.
    pub(crate) mtu: u16,
    /// Not 0 while held fragments are replayed.
    pub(crate) replaying: u16,
    pub(crate) held_key: HeldKey,
    /// A fragment about to be held, or a first one while those that waited for it take its place.
    pub(crate) frame: Held,
}

/// The element that the running program has for itself.
#[inline(always)]
pub(crate) fn scratch() -> Option<*mut Scratch> {
    let first = SCRATCH.get_ptr_mut(0)?;
    // SAFETY: the element is this CPU's, and a program that runs inside another only reads this field.
    let nested = unsafe { (*first).replaying != 0 };
    if nested { SCRATCH.get_ptr_mut(1) } else { Some(first) }
}

/// Place of a held fragment.
#[repr(C)]
pub(crate) struct HeldKey {
    pub(crate) datagram: FragmentKey,
    /// From 0 to [`HELD_PER_DATAGRAM`] less one.
    pub(crate) slot: u32,
}

/// A held fragment.
#[repr(C)]
pub(crate) struct Held {
    /// Bytes of `bytes` that it takes, with its link-layer header.
    pub(crate) length: u32,
    /// When it came: whole seconds of the kernel's monotonic clock.
    pub(crate) since: u32,
    pub(crate) bytes: [u8; HELD_BYTES as usize],
}

/// Most fragments of a datagram that wait for its first.
pub(crate) const HELD_PER_DATAGRAM: u32 = 4;
/// Most bytes of one: what a link of 1,500 carries, with some room for the link layer.
pub(crate) const HELD_BYTES: u32 = 1_600;

/// Cookie of the network namespace of the node itself.
#[unsafe(no_mangle)]
pub(crate) static HOST_NETNS_COOKIE: Global<u64> = Global::new(0);
/// Not 0: only sockets of the node itself are translated, not those of pods.
#[unsafe(no_mangle)]
pub(crate) static SOCKET_LB_HOST_ONLY: Global<u8> = Global::new(0);
/// Number in `tc_index` by which our programs know a packet that one of them has judged: any that nobody else knows.
#[unsafe(no_mangle)]
pub(crate) static JUDGED_MARK: Global<u16> = Global::new(0);

/// Not 0: what policies deny is answered, where the sender's own packet is still at hand.
#[unsafe(no_mangle)]
pub(crate) static POLICY_REJECT: Global<u8> = Global::new(0);

/// Not 0: packets between pods of this node go past the node's stack.
#[unsafe(no_mangle)]
pub(crate) static LOCAL_REDIRECT: Global<u8> = Global::new(0);

/// Counts a packet that is not passed on.
#[inline(always)]
pub(crate) fn count_drop(reason: Reason) {
    count(&DROPS, reason);
}

/// Counts a packet that would not be passed on if policies that are audited were enforced.
#[inline(always)]
pub(crate) fn count_audit(reason: Reason) {
    count(&AUDITS, reason);
}

#[inline(always)]
fn count(counters: &PerCpuArray<u64>, reason: Reason) {
    if let Some(packets) = counters.get_ptr_mut(reason.number()) {
        // SAFETY: a slot of a per-CPU array stays in place, and only this CPU writes it.
        unsafe { *packets += 1 };
    }
}
