//! Layouts of the tables (BPF maps): keys, values, names and sizes.
//!
//! Every layout is `repr(C)` without padding and holds integers only, addresses and ports in network order, everything
//! else in the machine's. [`VERSION`] changes with any change here: the agent pins under it, and takes over from its
//! neighbours what has the same layout (`Table::since`) or can be converted ([`previous`]).

mod address;
mod affinity;
mod flow;
mod fragment;
mod node;
mod policy;
pub mod previous;
mod service;
mod socket;
mod source_range;

pub use address::{Address, address_flags};
pub use affinity::{Affinity, AffinityKey};
pub use flow::{FlowKey, FlowRecord, SourcePortKey, flow_flags};
pub use fragment::{Fragment, FragmentKey};
pub use node::{Device, device_flags};
pub use policy::{
    Block, Identity, PodNetwork, Policing, PolicyName, Rule, RuleKey, SetPolicy, identity_flags, pod_network_flags,
};
pub use service::{
    Backend, BackendKey, EndpointSet, Member, MemberKey, Service, ServiceKey, ServiceName, Topology, backend_flags,
    member_flags, service_flags,
};
pub use socket::{SocketKey, SocketPeer};
pub use source_range::SourceRange;

/// Version of the layouts here as a whole. With it changes `Table::since` of the tables that it is about, and what
/// [`previous`] holds.
pub const VERSION: u32 = 3;

/// Name, size and history of a table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Table {
    /// Name of the map, also of its pin.
    pub name: &'static str,
    /// Most entries it holds.
    pub max_entries: u32,
    /// The [`VERSION`] that brought its present layout (type, key, value, size, and what their bits mean), by which an agent
    /// knows whether it can go on with the table of another version. 2 stands for whatever is older.
    pub since: u16,
    /// What it makes sense with.
    pub part: Part,
}

/// Tables that make sense together only: where the layout of one has changed, the agent fills all of them anew.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Part {
    /// It makes sense by itself.
    Alone,
    /// What Services are.
    Services,
    /// What policies are.
    Policies,
}

impl Table {
    /// A table by itself, as old as upgrades go back, with so many entries.
    #[must_use]
    pub const fn new(name: &'static str, max_entries: u32) -> Self {
        Self { name, max_entries, since: 2, part: Part::Alone }
    }

    const fn since(self, since: u16) -> Self {
        Self { since, ..self }
    }

    const fn of(self, part: Part) -> Self {
        Self { part, ..self }
    }
}

/// `ServiceKey` -> `Service`: address, port and protocol of every frontend.
pub const SERVICES: Table = Table::new("SERVICES", ADDRESSES.max_entries - 4_096).since(2).of(Part::Services);
/// `BackendKey` -> `Backend`: the endpoints of a Service port, numbered from 0 in each set.
pub const BACKENDS: Table = Table::new("BACKENDS", 524_288).since(2).of(Part::Services);
/// `MemberKey` -> `Member`: which endpoints may still serve flows of a Service port.
pub const MEMBERS: Table = Table::new("MEMBERS", 524_288).since(2).of(Part::Services);
/// Service port number -> `ServiceName`. Read by the CLI and by a starting agent, never by a program.
pub const SERVICE_NAMES: Table = Table::new("SERVICE_NAMES", 131_072).since(2);
/// `FlowKey` -> `FlowRecord`: flows that saw both directions. Plain hash: nothing is evicted.
pub const FLOWS: Table = Table::new("FLOWS", 524_288).since(3);
/// `FlowKey` -> `FlowRecord`: flows that did not yet. LRU: a flood evicts only its like.
pub const FLOWS_NEW: Table = Table::new("FLOWS_NEW", 131_072).since(3);
/// `SourcePortKey` -> `u32`: where the next search for a source port goes on. LRU.
pub const SOURCE_PORTS: Table = Table::new("SOURCE_PORTS", 4_096).since(2);
/// `SocketKey` (socket, Service address) -> `SocketPeer` (the backend chosen for its datagrams). LRU.
pub const SOCK_BACKEND: Table = Table::new("SOCK_BACKEND", 32_768).since(2);
/// `SocketKey` (socket, backend) -> `SocketPeer` (the Service address it asked for). LRU.
pub const SOCK_ORIGIN: Table = Table::new("SOCK_ORIGIN", 65_536).since(2);
/// `FragmentKey` -> `Fragment`: the ports of datagrams in fragments. LRU.
pub const FRAGMENTS: Table = Table::new("FRAGMENTS", 8_192).since(2);
/// `Addr` -> `Address`: the addresses of frontends and of this node. Larger than `SERVICES`, which has no more addresses
/// than entries, by 4,096 of the node's: it doesn't overflow before that does.
pub const ADDRESSES: Table = Table::new("ADDRESSES", 262_144).since(2).of(Part::Services);
/// `AffinityKey` -> `Affinity`: which endpoint a client is bound to. LRU: it remembers the clients that come.
pub const AFFINITY: Table = Table::new("AFFINITY", 65_536).since(2);
/// Prefix of a `SourceRange` -> `u32` (unused): who may use a load balancer's address.
pub const SOURCE_RANGES: Table = Table::new("SOURCE_RANGES", 131_072).since(2).of(Part::Services);
/// `Addr` -> `Identity`: the pods of this node, and those elsewhere that a selector in use matches.
pub const IDENTITIES: Table = Table::new("IDENTITIES", 262_144).since(3).of(Part::Policies);
/// Prefix of an `Addr` -> `Block`: class of the addresses without an identity.
pub const BLOCKS: Table = Table::new("BLOCKS", 131_072).since(3).of(Part::Policies);
/// Prefix of a `RuleKey` -> `Rule`: what the rules in use allow.
pub const RULES: Table = Table::new("RULES", 524_288).since(3).of(Part::Policies);
/// Policy number -> `PolicyName`. Read by the CLI, never by a program.
pub const POLICY_NAMES: Table = Table::new("POLICY_NAMES", 16_384).since(3).of(Part::Policies);
/// `SetPolicy` -> `u32` (unused): the policies each set is made of. Read by the CLI, never by a program.
pub const SET_POLICIES: Table = Table::new("SET_POLICIES", 131_072).since(3).of(Part::Policies);
/// `Rule` -> verdicts it allowed (`u64`), per CPU: one of each flow, and one more when the flow is judged anew.
pub const RULE_HITS: Table = Table::new("RULE_HITS", 65_536).since(3).of(Part::Policies);
/// One `u32`: grows with every change of what policies make of addresses, so that flows are judged anew.
pub const POLICY_GENERATION: Table = Table::new("POLICY_GENERATION", 1).since(3);
/// One `PodNetwork`.
pub const POD_NETWORK: Table = Table::new("POD_NETWORK", 1).since(3).of(Part::Policies);
/// Interface index -> `Device`.
pub const DEVICES: Table = Table::new("DEVICES", 8_192).since(3);
/// One `u32`: grows whenever an endpoint leaves a Service, so that flows look once whether theirs is still there.
pub const EPOCH: Table = Table::new("EPOCH", 1).since(2);
/// Reason number -> packets (`u64`), per CPU.
pub const DROPS: Table = Table::new("DROPS", crate::drop::Reason::SLOTS).since(2);
/// Reason number -> packets (`u64`) that passed and would not have if an audited policy were enforced, per CPU.
pub const AUDITS: Table = Table::new("AUDITS", crate::drop::Reason::SLOTS).since(3);

/// Every table, in the order of this page.
pub const ALL: [Table; 25] = [
    SERVICES,
    BACKENDS,
    MEMBERS,
    SERVICE_NAMES,
    FLOWS,
    FLOWS_NEW,
    SOURCE_PORTS,
    SOCK_BACKEND,
    SOCK_ORIGIN,
    FRAGMENTS,
    ADDRESSES,
    AFFINITY,
    SOURCE_RANGES,
    IDENTITIES,
    BLOCKS,
    RULES,
    POLICY_NAMES,
    SET_POLICIES,
    RULE_HITS,
    POLICY_GENERATION,
    POD_NETWORK,
    DEVICES,
    EPOCH,
    DROPS,
    AUDITS,
];
