//! Layouts of the tables (BPF maps): keys, values, names and sizes.
//!
//! Every layout is `repr(C)` without padding and holds integers only, addresses and ports in network order, everything
//! else in the machine's. [`VERSION`] changes with any change here: the agent pins under it and never reads another.

mod address;
mod affinity;
mod flow;
mod fragment;
mod node;
mod policy;
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

/// Version of every layout here.
pub const VERSION: u32 = 3;

/// Name, and most entries, of a table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Table {
    /// Name of the map, also of its pin.
    pub name: &'static str,
    /// Most entries it holds.
    pub max_entries: u32,
}

/// `ServiceKey` -> `Service`: address, port and protocol of every frontend.
pub const SERVICES: Table = Table { name: "SERVICES", max_entries: ADDRESSES.max_entries - 4_096 };
/// `BackendKey` -> `Backend`: the endpoints of a Service port, numbered from 0 in each set.
pub const BACKENDS: Table = Table { name: "BACKENDS", max_entries: 524_288 };
/// `MemberKey` -> `Member`: which endpoints may still serve flows of a Service port.
pub const MEMBERS: Table = Table { name: "MEMBERS", max_entries: 524_288 };
/// Service port number -> `ServiceName`. Read by the CLI and by a starting agent, never by a program.
pub const SERVICE_NAMES: Table = Table { name: "SERVICE_NAMES", max_entries: 131_072 };
/// `FlowKey` -> `FlowRecord`: flows that saw both directions. Plain hash: nothing is evicted.
pub const FLOWS: Table = Table { name: "FLOWS", max_entries: 524_288 };
/// `FlowKey` -> `FlowRecord`: flows that did not yet. LRU: a flood evicts only its like.
pub const FLOWS_NEW: Table = Table { name: "FLOWS_NEW", max_entries: 131_072 };
/// `SourcePortKey` -> `u32`: where the next search for a source port goes on. LRU.
pub const SOURCE_PORTS: Table = Table { name: "SOURCE_PORTS", max_entries: 4_096 };
/// `SocketKey` (socket, Service address) -> `SocketPeer` (the backend chosen for its datagrams). LRU.
pub const SOCK_BACKEND: Table = Table { name: "SOCK_BACKEND", max_entries: 32_768 };
/// `SocketKey` (socket, backend) -> `SocketPeer` (the Service address it asked for). LRU.
pub const SOCK_ORIGIN: Table = Table { name: "SOCK_ORIGIN", max_entries: 65_536 };
/// `FragmentKey` -> `Fragment`: the ports of datagrams in fragments. LRU.
pub const FRAGMENTS: Table = Table { name: "FRAGMENTS", max_entries: 8_192 };
/// `Addr` -> `Address`: the addresses of frontends and of this node. Larger than `SERVICES`, which has no more addresses
/// than entries, by 4,096 of the node's: it doesn't overflow before that does.
pub const ADDRESSES: Table = Table { name: "ADDRESSES", max_entries: 262_144 };
/// `AffinityKey` -> `Affinity`: which endpoint a client is bound to. LRU: it remembers the clients that come.
pub const AFFINITY: Table = Table { name: "AFFINITY", max_entries: 65_536 };
/// Prefix of a `SourceRange` -> `u32` (unused): who may use a load balancer's address.
pub const SOURCE_RANGES: Table = Table { name: "SOURCE_RANGES", max_entries: 131_072 };
/// `Addr` -> `Identity`: the pods of this node, and those elsewhere that a selector in use matches.
pub const IDENTITIES: Table = Table { name: "IDENTITIES", max_entries: 262_144 };
/// Prefix of an `Addr` -> `Block`: class of the addresses without an identity.
pub const BLOCKS: Table = Table { name: "BLOCKS", max_entries: 131_072 };
/// Prefix of a `RuleKey` -> `Rule`: what the rules in use allow.
pub const RULES: Table = Table { name: "RULES", max_entries: 524_288 };
/// Policy number -> `PolicyName`. Read by the CLI, never by a program.
pub const POLICY_NAMES: Table = Table { name: "POLICY_NAMES", max_entries: 16_384 };
/// `SetPolicy` -> `u32` (unused): the policies each set is made of. Read by the CLI, never by a program.
pub const SET_POLICIES: Table = Table { name: "SET_POLICIES", max_entries: 131_072 };
/// `Rule` -> verdicts it allowed (`u64`), per CPU: one of each flow, and one more when the flow is judged anew.
pub const RULE_HITS: Table = Table { name: "RULE_HITS", max_entries: 65_536 };
/// One `u32`: grows with every change of what policies make of addresses, so that flows are judged anew.
pub const POLICY_GENERATION: Table = Table { name: "POLICY_GENERATION", max_entries: 1 };
/// One `PodNetwork`.
pub const POD_NETWORK: Table = Table { name: "POD_NETWORK", max_entries: 1 };
/// Interface index -> `Device`.
pub const DEVICES: Table = Table { name: "DEVICES", max_entries: 8_192 };
/// One `u32`: grows whenever an endpoint leaves a Service, so that flows look once whether theirs is still there.
pub const EPOCH: Table = Table { name: "EPOCH", max_entries: 1 };
/// Reason number -> packets (`u64`), per CPU.
pub const DROPS: Table = Table { name: "DROPS", max_entries: crate::drop::Reason::SLOTS };
/// Reason number -> packets (`u64`) that passed and would not have if an audited policy were enforced, per CPU.
pub const AUDITS: Table = Table { name: "AUDITS", max_entries: crate::drop::Reason::SLOTS };

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
