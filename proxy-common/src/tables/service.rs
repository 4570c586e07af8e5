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

/// What stands behind a frontend. One word short of a cache line with its key, and replaced whole: a reader sees the
/// counts of one moment.
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
}

const _: () = assert!(size_of::<Service>() == 16);

/// Bits of [`Service::flags`].
pub mod service_flags {
    /// A node port, an external IP or a load balancer's: under `externalTrafficPolicy`. Otherwise a ClusterIP.
    pub const EXTERNAL: u32 = 1 << 0;
    /// A node port: valid on the node's addresses that [`super::super::node_address_flags::NODE_PORT`] marks.
    pub const NODE_PORT: u32 = 1 << 1;
    /// Only [`super::EndpointSet::Local`] serves this frontend: its traffic policy is Local.
    pub const LOCAL_ONLY: u32 = 1 << 2;
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
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
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
