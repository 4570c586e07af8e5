//! The tables as plain collections, for tests and for whoever wants to ask "what would happen".

extern crate std;

use core::cell::{Cell, RefCell};
use core::net::IpAddr;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::vec::Vec;

use ipnetwork::IpNetwork;

use crate::addr::Addr;
use crate::drop::Reason;
use crate::flow::State;
use crate::fragment::FragmentTables;
use crate::guard::GuardTables;
use crate::nat::{Added, FlowEntry, FlowTables, Routes, Sockets, SourcePorts, TcpEnd};
use crate::policy::{PolicyTables, Question, Ruling, judge};
use crate::service::ServiceTables;
use crate::tables::{
    Address, Affinity, AffinityKey, Backend, BackendKey, Block, Device, FlowKey, FlowRecord, Fragment, FragmentKey,
    Identity, Member, MemberKey, PodNetwork, Rule, RuleKey, Service, ServiceKey, SourcePortKey, address_flags,
    service_flags,
};

/// Every table that a decision looks at. What a look-up misses in the kernel is a public field here, to be set up.
#[derive(Default)]
pub struct PlainTables {
    /// `SERVICES`.
    pub services: BTreeMap<ServiceKey, Service>,
    /// `BACKENDS`.
    pub backends: BTreeMap<BackendKey, Backend>,
    /// `MEMBERS`.
    pub members: BTreeMap<MemberKey, Member>,
    /// `ADDRESSES`.
    pub addresses: BTreeMap<Addr, Address>,
    /// `SOURCE_RANGES`: Service port number, network. Families don't mix, also not by a prefix of 0.
    pub source_ranges: Vec<(u32, IpNetwork)>,
    /// `AFFINITY`.
    pub affinity: RefCell<BTreeMap<AffinityKey, Affinity>>,
    /// `EPOCH`.
    pub epoch: u32,
    /// `POLICY_GENERATION`.
    pub generation: u32,
    /// `POD_NETWORK`.
    pub pod_network: PodNetwork,
    /// `IDENTITIES`.
    pub identities: BTreeMap<Addr, Identity>,
    /// `DEVICES`.
    pub devices: BTreeMap<u32, Device>,
    /// `BLOCKS`.
    pub blocks: BTreeMap<IpNetwork, Block>,
    /// `RULES`, by key and bits of it that count.
    pub rules: BTreeMap<(RuleKey, u32), Rule>,
    /// `FLOWS`.
    pub flows: RefCell<BTreeMap<FlowKey, PlainEntry>>,
    /// `FLOWS_NEW`.
    pub flows_new: RefCell<BTreeMap<FlowKey, PlainEntry>>,
    /// `FRAGMENTS`.
    pub fragments: RefCell<BTreeMap<FragmentKey, Fragment>>,
    /// Most entries of `FLOWS`, and of `FLOWS_NEW`.
    pub room: Option<usize>,
    /// `SOURCE_PORTS`.
    pub source_ports: RefCell<BTreeMap<SourcePortKey, u32>>,
    /// Address that source translation finds; `None`: no route.
    pub source: Option<Addr>,
    /// Packets that a socket waits for, the node's or the client's.
    pub sockets: BTreeSet<FlowKey>,
    /// Segments that a pod's connection waits for, and which end it is.
    pub tcp_ends: BTreeMap<FlowKey, TcpEnd>,
    /// The next random number; each draw adds a constant that visits every residue.
    pub seed: Cell<u32>,
    /// Connections of another proxy are alive.
    pub is_taking_over: bool,
    /// So are flows that begin.
    pub leaves_new_flows: bool,
}

/// A flow record that its table and its readers share.
#[derive(Clone)]
pub struct PlainEntry(Rc<Cell<FlowRecord>>);

impl PlainEntry {
    fn change(&self, change: impl FnOnce(&mut FlowRecord)) {
        let mut record = self.0.get();
        change(&mut record);
        self.0.set(record);
    }
}

impl From<Rc<Cell<FlowRecord>>> for PlainEntry {
    fn from(record: Rc<Cell<FlowRecord>>) -> Self {
        Self(record)
    }
}

impl FlowEntry for PlainEntry {
    fn record(&self) -> FlowRecord {
        self.0.get()
    }
    fn set_last_seen(&self, now: u32) {
        self.change(|record| record.last_seen = now);
    }
    fn set_state(&self, state: State) {
        self.change(|record| record.state = state as u32);
    }
    fn set_epoch(&self, epoch: u32) {
        self.change(|record| record.epoch = epoch);
    }
    fn set_policy(&self, generation: u32) {
        self.change(|record| record.policy = generation);
    }
}

impl ServiceTables for PlainTables {
    fn service(&self, key: &ServiceKey) -> Option<Service> {
        self.services.get(key).copied()
    }
    fn backend(&self, key: &BackendKey) -> Option<Backend> {
        self.backends.get(key).copied()
    }
    fn member(&self, key: &MemberKey) -> Option<Member> {
        self.members.get(key).copied()
    }
    fn address(&self, addr: &Addr) -> Option<Address> {
        self.addresses.get(addr).copied()
    }
    fn in_source_range(&self, service: u32, source: &Addr) -> bool {
        let source = IpAddr::from(*source);
        self.source_ranges.iter().any(|(id, range)| *id == service && range.contains(source))
    }
    fn affinity(&self, key: &AffinityKey) -> Option<Affinity> {
        self.affinity.borrow().get(key).copied()
    }
    fn bind_first(&self, key: &AffinityKey, affinity: &Affinity) -> bool {
        let mut bound = self.affinity.borrow_mut();
        let is_first = !bound.contains_key(key);
        if is_first {
            bound.insert(*key, *affinity);
        }
        is_first
    }
    fn bind(&self, key: &AffinityKey, affinity: &Affinity) {
        self.affinity.borrow_mut().insert(*key, *affinity);
    }
    fn epoch(&self) -> u32 {
        self.epoch
    }
    fn random(&self) -> u32 {
        // The golden ratio's odd multiple: successive draws spread over every set (Knuth, multiplicative hashing).
        self.seed.set(self.seed.get().wrapping_add(0x9e37_79b1));
        self.seed.get()
    }
    fn is_taking_over(&self) -> bool {
        self.is_taking_over
    }
    fn leaves_new_flows(&self) -> bool {
        self.leaves_new_flows
    }
}

impl PlainTables {
    /// Adds a frontend, and what it makes of its address.
    pub fn serve(&mut self, key: ServiceKey, service: Service) {
        self.services.insert(key, service);
        if service.flags & service_flags::NODE_PORT == 0 {
            let cluster_ip = if service.flags & service_flags::EXTERNAL == 0 { address_flags::CLUSTER_IP } else { 0 };
            self.addresses.entry(key.addr).or_default().flags |= address_flags::FRONTEND | cluster_ip;
        }
    }

    fn has_room(&self, flows: &BTreeMap<FlowKey, PlainEntry>) -> bool {
        self.room.is_none_or(|room| flows.len() < room)
    }
}

impl PolicyTables for PlainTables {
    fn generation(&self) -> u32 {
        self.generation
    }
    fn pod_network_flags(&self) -> u32 {
        self.pod_network.flags
    }
    fn in_pod_network(&self, addr: &Addr) -> bool {
        self.pod_network.contains(addr)
    }
    fn identity(&self, addr: &Addr) -> Option<Identity> {
        self.identities.get(addr).copied()
    }
    fn block(&self, addr: &Addr) -> Option<Block> {
        let addr = IpAddr::from(*addr);
        let holding = self.blocks.iter().filter(|(network, _)| network.contains(addr));
        holding.max_by_key(|(network, _)| network.prefix()).map(|(_, block)| *block)
    }
    fn rule(&self, key: &RuleKey) -> Option<Rule> {
        let holding = self.rules.iter().filter(|((rule, bits), _)| rule.has_prefix_of(*bits, key));
        holding.max_by_key(|((_, bits), _)| *bits).map(|(_, rule)| *rule)
    }
    fn is_node(&self, addr: &Addr) -> bool {
        self.addresses.get(addr).is_some_and(|address| address.is(address_flags::NODE))
    }
    fn judge(&self, question: &Question, ruling: &mut Ruling) -> Result<(), Reason> {
        judge(self, question, ruling)
    }
}

impl GuardTables for PlainTables {
    fn device(&self, ifindex: u32) -> Option<Device> {
        self.devices.get(&ifindex).copied()
    }
}

impl FlowTables for PlainTables {
    type Entry = PlainEntry;

    fn established(&self, key: &FlowKey) -> Option<PlainEntry> {
        self.flows.borrow().get(key).cloned()
    }
    fn half_open(&self, key: &FlowKey) -> Option<PlainEntry> {
        self.flows_new.borrow().get(key).cloned()
    }
    fn put_established(&self, key: &FlowKey, record: &FlowRecord) -> Result<(), Reason> {
        let mut flows = self.flows.borrow_mut();
        if !flows.contains_key(key) && !self.has_room(&flows) {
            return Err(Reason::FlowTableFull);
        }
        flows.insert(*key, PlainEntry(Rc::new(Cell::new(*record))));
        Ok(())
    }
    fn add_half_open(&self, key: &FlowKey, record: &FlowRecord) -> Added {
        let mut flows = self.flows_new.borrow_mut();
        if flows.contains_key(key) {
            return Added::Taken;
        }
        if !self.has_room(&flows) {
            return Added::Full;
        }
        flows.insert(*key, PlainEntry(Rc::new(Cell::new(*record))));
        Added::New
    }
    fn remove_established(&self, key: &FlowKey) {
        self.flows.borrow_mut().remove(key);
    }
    fn remove_half_open(&self, key: &FlowKey) {
        self.flows_new.borrow_mut().remove(key);
    }
}

impl FragmentTables for PlainTables {
    fn fragment(&self, key: &FragmentKey) -> Option<Fragment> {
        self.fragments.borrow().get(key).copied()
    }
    fn put_fragment(&self, key: &FragmentKey, fragment: &Fragment) {
        self.fragments.borrow_mut().insert(*key, *fragment);
    }
}

impl SourcePorts for PlainTables {
    fn next_port(&self, key: &SourcePortKey) -> Option<u32> {
        self.source_ports.borrow().get(key).copied()
    }
    fn set_next_port(&self, key: &SourcePortKey, next: u32) {
        self.source_ports.borrow_mut().insert(*key, next);
    }
}

impl Routes for PlainTables {
    fn source_towards(&self, _packet: &FlowKey) -> Option<Addr> {
        self.source
    }
    fn has_socket(&self, packet: &FlowKey, _sockets: Sockets) -> bool {
        self.sockets.contains(packet)
    }
    fn tcp_end(&self, _ifindex: u32, segment: &FlowKey) -> TcpEnd {
        self.tcp_ends.get(segment).copied().unwrap_or(TcpEnd::None)
    }
}
