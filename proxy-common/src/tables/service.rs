//! Services and their endpoints. A new flow costs two look-ups: frontend, then endpoint.

use crate::addr::{Addr, Port};

/// A frontend: where clients of a Service port send to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(C)]
pub struct ServiceKey {
    /// ClusterIP; [`crate::addr::Family::any`] for a node port.
    pub addr: Addr,
    /// Service port or node port.
    pub port: Port,
    /// IP protocol number.
    pub protocol: u8,
    _pad: u8,
}

const _: () = assert!(size_of::<ServiceKey>() == 20);

impl ServiceKey {
    /// Key of a frontend.
    #[inline(always)]
    #[must_use]
    pub const fn new(addr: Addr, port: Port, protocol: u8) -> Self {
        Self { addr, port, protocol, _pad: 0 }
    }
}

/// What stands behind a frontend. Fits in a cache line with its key, and is replaced whole: a reader sees the counts of
/// one moment.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
#[repr(C)]
pub struct Service {
    /// Number of the Service port (namespace, name, port name, protocol, family) on this node.
    pub id: u32,
    /// Endpoints in [`EndpointSet::Cluster`].
    pub cluster: u32,
    /// Endpoints in [`EndpointSet::Local`].
    pub local: u32,
    /// [`service_flags`].
    pub flags: u32,
    /// Session affinity by client address: seconds without a new connection after which a client is bound to no endpoint
    /// any more; 0 for none.
    pub affinity_timeout: u32,
    /// Grows each time session affinity is switched on, so that it begins with nobody bound.
    pub affinity_generation: u32,
}

const _: () = assert!(size_of::<Service>() == 24);

impl Service {
    /// Which endpoint serves depends on the client's address.
    #[inline(always)]
    #[must_use]
    pub const fn depends_on_client(&self) -> bool {
        self.affinity_timeout != 0 || self.flags & service_flags::SOURCE_RANGES != 0
    }
}

/// Bits of [`Service::flags`].
pub mod service_flags {
    /// A node port, an external IP or a load balancer's: under `externalTrafficPolicy`. Otherwise a ClusterIP.
    pub const EXTERNAL: u32 = 1 << 0;
    /// A node port: valid on the node's addresses that [`super::super::address_flags::NODE_PORT`] marks.
    pub const NODE_PORT: u32 = 1 << 1;
    /// Only [`super::EndpointSet::Local`] serves this frontend: its traffic policy is Local.
    pub const LOCAL_ONLY: u32 = 1 << 2;
    /// Only sources in `SOURCE_RANGES` may use this frontend.
    pub const SOURCE_RANGES: u32 = 1 << 3;
    /// An address of the load balancer, one of the frontends that are [`EXTERNAL`].
    pub const LOAD_BALANCER: u32 = 1 << 4;
    /// No endpoint is ready: [`super::EndpointSet::Cluster`] holds those that still serve while they terminate.
    pub const TERMINATING_CLUSTER: u32 = 1 << 5;
    /// The same of [`super::EndpointSet::Local`].
    pub const TERMINATING_LOCAL: u32 = 1 << 6;
    /// Where [`super::Topology`] stands. For the CLI: no decision looks at it.
    pub const TOPOLOGY_SHIFT: u32 = 8;
    /// Bits of [`super::Topology`].
    pub const TOPOLOGY: u32 = 0b111 << TOPOLOGY_SHIFT;
}

/// What topology hints made of [`EndpointSet::Cluster`] (kube-proxy's rules 3.7 to 3.12).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
#[repr(u32)]
pub enum Topology {
    /// No endpoint has a hint.
    #[default]
    None = 0,
    /// Holds those hinted for this node.
    Node = 1,
    /// Holds those hinted for this node's zone.
    Zone = 2,
    /// Hints were not used: some ready endpoint has none.
    NotAllHinted = 3,
    /// Hints were not used: no endpoint is hinted for this node or its zone.
    NoneForHere = 4,
    /// Hints were not used: this node's zone isn't known.
    ZoneUnknown = 5,
}

impl Topology {
    /// The bits of [`Service::flags`].
    #[must_use]
    pub const fn flags(self) -> u32 {
        (self as u32) << service_flags::TOPOLOGY_SHIFT
    }

    /// From [`Service::flags`].
    #[must_use]
    pub const fn from_flags(flags: u32) -> Self {
        match (flags & service_flags::TOPOLOGY) >> service_flags::TOPOLOGY_SHIFT {
            1 => Self::Node,
            2 => Self::Zone,
            3 => Self::NotAllHinted,
            4 => Self::NoneForHere,
            5 => Self::ZoneUnknown,
            _ => Self::None,
        }
    }
}

/// Which endpoints of a Service port a path chooses from.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u32)]
pub enum EndpointSet {
    /// All usable endpoints of the cluster.
    Cluster = 0,
    /// Those of them on this node.
    Local = 1,
}

/// Place of an endpoint in a set of a Service port.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(C)]
pub struct BackendKey {
    /// [`Service::id`].
    pub service: u32,
    /// [`EndpointSet`] as a number.
    pub set: u32,
    /// From 0 to the set's count less one.
    pub slot: u32,
}

const _: () = assert!(size_of::<BackendKey>() == 12);

impl BackendKey {
    /// Key of the endpoint at `slot` of `set`.
    #[inline(always)]
    #[must_use]
    pub const fn new(service: u32, set: EndpointSet, slot: u32) -> Self {
        Self { service, set: set as u32, slot }
    }
}

/// An endpoint of a Service port.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
#[repr(C)]
pub struct Backend {
    /// Address of the pod.
    pub addr: Addr,
    /// Target port.
    pub port: Port,
    /// [`backend_flags`].
    pub flags: u16,
}

const _: () = assert!(size_of::<Backend>() == 20);

/// Bits of [`Backend::flags`].
pub mod backend_flags {
    /// The endpoint is on this node (its `nodeName` is ours).
    pub const LOCAL: u16 = 1 << 0;
}

impl Backend {
    /// On this node.
    #[inline(always)]
    #[must_use]
    pub const fn is_local(&self) -> bool {
        self.flags & backend_flags::LOCAL != 0
    }
}

/// An endpoint that may serve flows of a Service port, by its address instead of its place.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(C)]
pub struct MemberKey {
    /// [`Service::id`].
    pub service: u32,
    /// Address of the pod.
    pub addr: Addr,
    /// Target port.
    pub port: Port,
    _pad: u16,
}

const _: () = assert!(size_of::<MemberKey>() == 24);

impl MemberKey {
    /// Key of the endpoint at `addr`:`port` of the Service port `service`.
    #[inline(always)]
    #[must_use]
    pub const fn new(service: u32, addr: Addr, port: Port) -> Self {
        Self { service, addr, port, _pad: 0 }
    }
}

/// What an endpoint that may serve flows is beyond that.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
#[repr(C)]
pub struct Member {
    /// [`member_flags`].
    pub flags: u32,
}

const _: () = assert!(size_of::<Member>() == 4);

/// Bits of [`Member::flags`].
pub mod member_flags {
    /// In [`super::EndpointSet::Cluster`].
    pub const CLUSTER: u32 = 1 << 0;
    /// In [`super::EndpointSet::Local`].
    pub const LOCAL: u32 = 1 << 1;
    /// On this node.
    pub const ON_NODE: u32 = 1 << 2;
}

impl Member {
    /// New flows may be given to it by way of `set`.
    #[inline(always)]
    #[must_use]
    pub const fn is_in(self, set: EndpointSet) -> bool {
        let flag = match set {
            EndpointSet::Cluster => member_flags::CLUSTER,
            EndpointSet::Local => member_flags::LOCAL,
        };
        self.flags & flag != 0
    }

    /// The endpoint itself, whose key in `MEMBERS` names `addr` and `port`.
    #[inline(always)]
    #[must_use]
    pub const fn backend(self, addr: Addr, port: Port) -> Backend {
        let flags = if self.flags & member_flags::ON_NODE != 0 { backend_flags::LOCAL } else { 0 };
        Backend { addr, port, flags }
    }
}

/// Name of a Service port, for people: each part padded with zero bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(C)]
pub struct ServiceName {
    /// Namespace: a DNS label, 63 bytes at most (Kubernetes names, RFC 1123).
    pub namespace: [u8; 64],
    /// Name of the Service: a DNS label.
    pub name: [u8; 64],
    /// Name of the port, empty for an unnamed one: a DNS label.
    pub port: [u8; 64],
    /// IP protocol number.
    pub protocol: u32,
    /// 4 or 6.
    pub family: u32,
}

const _: () = assert!(size_of::<ServiceName>() == 200);
