//! Which Service an address means, and which endpoint serves it.

use crate::addr::{Addr, Port};
use crate::drop::Reason;
use crate::tables::{
    Backend, BackendKey, EndpointSet, MemberKey, NodeAddress, Service, ServiceKey, node_address_flags, service_flags,
};

/// Look-ups the choice of an endpoint needs.
pub trait ServiceTables {
    /// Entry of `SERVICES`.
    fn service(&self, key: &ServiceKey) -> Option<Service>;
    /// Entry of `BACKENDS`.
    fn backend(&self, key: &BackendKey) -> Option<Backend>;
    /// Whether `MEMBERS` has it.
    fn is_member(&self, key: &MemberKey) -> bool;
    /// Entry of `NODE_ADDRESSES`.
    fn node_address(&self, addr: &Addr) -> Option<NodeAddress>;
    /// Value of `EPOCH`.
    fn epoch(&self) -> u32;
    /// A fresh random number.
    fn random(&self) -> u32;
}

/// Where a client is, seen from this node.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Client {
    /// In a pod of this node.
    Pod,
    /// A program of the node itself (host network).
    Node,
    /// Beyond an uplink.
    Outside,
}

/// Times a choice begins again because the set shrank under it.
const RETRIES: u32 = 3;

/// The frontend at an address: exact first, then a node port on any of the node's addresses (kube-proxy's order:
/// node ports come last).
#[inline(always)]
pub fn find(tables: &impl ServiceTables, addr: Addr, port: Port, protocol: u8) -> Option<(ServiceKey, Service)> {
    let exact = ServiceKey::new(addr, port, protocol);
    if let Some(service) = tables.service(&exact) {
        return Some((exact, service));
    }
    if tables.node_address(&addr)?.flags & node_address_flags::NODE_PORT == 0 {
        return None;
    }
    let node_port = ServiceKey::new(addr.family().any(), port, protocol);
    Some((node_port, tables.service(&node_port)?))
}

/// The set of endpoints that serves a client. Under `externalTrafficPolicy: Local` the node and its pods still reach
/// every endpoint: they are inside the cluster, there is no client address to keep.
#[inline(always)]
#[must_use]
pub fn endpoint_set(service: &Service, client: Client) -> EndpointSet {
    let local_only = service.flags & service_flags::LOCAL_ONLY != 0;
    let external = service.flags & service_flags::EXTERNAL != 0;
    let inside_the_cluster = !matches!(client, Client::Outside);
    if local_only && !(external && inside_the_cluster) { EndpointSet::Local } else { EndpointSet::Cluster }
}

/// Chooses an endpoint at random, each of the set as likely as the other.
///
/// # Errors
/// [`Reason::NoEndpoints`] when the Service has none anywhere, [`Reason::NoLocalEndpoints`] when only this node's count
/// and it has none.
#[inline(always)]
pub fn choose(
    tables: &impl ServiceTables,
    key: &ServiceKey,
    found: Service,
    client: Client,
) -> Result<(Service, Backend), Reason> {
    let mut service = found;
    let mut i = 0;
    while i < RETRIES {
        i += 1;
        let set = endpoint_set(&service, client);
        let count = match set {
            EndpointSet::Cluster => service.cluster,
            EndpointSet::Local => service.local,
        };
        if count == 0 {
            return Err(if service.cluster == 0 { Reason::NoEndpoints } else { Reason::NoLocalEndpoints });
        }
        let slot = (u64::from(tables.random()) * u64::from(count)) >> 32;
        if let Some(backend) = tables.backend(&BackendKey::new(service.id, set, slot as u32)) {
            return Ok((service, backend));
        }
        // The set shrank between the two look-ups: the frontend already knows.
        match tables.service(key) {
            Some(fresh) => service = fresh,
            None => return Err(Reason::NoEndpoints),
        }
    }
    Err(Reason::NoEndpoints)
}
