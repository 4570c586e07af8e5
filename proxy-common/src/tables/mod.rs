//! Layouts of the tables (BPF maps): keys, values, names and sizes.
//!
//! Every layout is `repr(C)` without padding and holds integers only, addresses and ports in network order, everything
//! else in the machine's. [`VERSION`] changes with any change here: the agent pins under it and never reads another.

mod flow;
mod fragment;
mod node;
mod service;
mod socket;

pub use flow::{FlowKey, FlowRecord, flow_flags};
pub use fragment::{Fragment, FragmentKey};
pub use node::{Device, NodeAddress, device_flags, node_address_flags};
pub use service::{
    Backend, BackendKey, EndpointSet, MemberKey, Service, ServiceKey, ServiceName, backend_flags, service_flags,
};
pub use socket::{SocketKey, SocketPeer};

/// Version of every layout here.
pub const VERSION: u32 = 1;

/// Name, and most entries, of a table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Table {
    /// Name of the map, also of its pin.
    pub name: &'static str,
    /// Most entries it holds.
    pub max_entries: u32,
}

/// `ServiceKey` -> `Service`: address, port and protocol of every frontend.
pub const SERVICES: Table = Table { name: "SERVICES", max_entries: 262_144 };
/// `BackendKey` -> `Backend`: the endpoints of a Service port, numbered from 0 in each set.
pub const BACKENDS: Table = Table { name: "BACKENDS", max_entries: 524_288 };
/// `MemberKey` -> `u32` (unused): which endpoints may still serve flows of a Service port.
pub const MEMBERS: Table = Table { name: "MEMBERS", max_entries: 524_288 };
/// Service port number -> `ServiceName`. Read by the CLI and by a starting agent, never by a program.
pub const SERVICE_NAMES: Table = Table { name: "SERVICE_NAMES", max_entries: 131_072 };
/// `FlowKey` -> `FlowRecord`: flows that saw both directions. Plain hash: nothing is evicted.
pub const FLOWS: Table = Table { name: "FLOWS", max_entries: 524_288 };
/// `FlowKey` -> `FlowRecord`: flows that did not yet. LRU: a flood evicts only its like.
pub const FLOWS_NEW: Table = Table { name: "FLOWS_NEW", max_entries: 131_072 };
/// `SocketKey` (socket, Service address) -> `SocketPeer` (the backend chosen for its datagrams). LRU.
pub const SOCK_BACKEND: Table = Table { name: "SOCK_BACKEND", max_entries: 32_768 };
/// `SocketKey` (socket, backend) -> `SocketPeer` (the Service address it asked for). LRU.
pub const SOCK_ORIGIN: Table = Table { name: "SOCK_ORIGIN", max_entries: 65_536 };
/// `FragmentKey` -> `Fragment`: the ports of datagrams in fragments. LRU.
pub const FRAGMENTS: Table = Table { name: "FRAGMENTS", max_entries: 8_192 };
/// `Addr` -> `NodeAddress`: the addresses of this node.
pub const NODE_ADDRESSES: Table = Table { name: "NODE_ADDRESSES", max_entries: 4_096 };
/// Interface index -> `Device`.
pub const DEVICES: Table = Table { name: "DEVICES", max_entries: 8_192 };
/// One `u32`: grows whenever an endpoint leaves a Service, so that flows look once whether theirs is still there.
pub const EPOCH: Table = Table { name: "EPOCH", max_entries: 1 };
/// Reason number -> packets (`u64`), per CPU.
pub const DROPS: Table = Table { name: "DROPS", max_entries: crate::drop::Reason::SLOTS };

/// Every table, in the order of this page.
pub const ALL: [Table; 13] = [
    SERVICES,
    BACKENDS,
    MEMBERS,
    SERVICE_NAMES,
    FLOWS,
    FLOWS_NEW,
    SOCK_BACKEND,
    SOCK_ORIGIN,
    FRAGMENTS,
    NODE_ADDRESSES,
    DEVICES,
    EPOCH,
    DROPS,
];
