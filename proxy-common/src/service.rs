//! Which Service an address means, and which endpoint serves it.

use crate::addr::{Addr, Port};
use crate::affinity::Asking;
use crate::drop::{Reason, Stop};
use crate::tables::{
    Address, Affinity, AffinityKey, Backend, BackendKey, EndpointSet, Member, MemberKey, Service, ServiceKey,
    address_flags, service_flags,
};

/// Look-ups the choice of an endpoint needs.
pub trait ServiceTables {
    /// Entry of `SERVICES`.
    fn service(&self, key: &ServiceKey) -> Option<Service>;
    /// Entry of `BACKENDS`.
    fn backend(&self, key: &BackendKey) -> Option<Backend>;
    /// Entry of `MEMBERS`.
    fn member(&self, key: &MemberKey) -> Option<Member>;
    /// Entry of `ADDRESSES`.
    fn address(&self, addr: &Addr) -> Option<Address>;
    /// Whether `SOURCE_RANGES` lets `source` use the Service port `service`.
    fn in_source_range(&self, service: u32, source: &Addr) -> bool;
    /// Entry of `AFFINITY`.
    fn affinity(&self, key: &AffinityKey) -> Option<Affinity>;
    /// Adds to `AFFINITY`; false where the client is bound already.
    fn bind_first(&self, key: &AffinityKey, affinity: &Affinity) -> bool;
    /// Adds to `AFFINITY`, or replaces what stands there.
    fn bind(&self, key: &AffinityKey, affinity: &Affinity);
    /// Value of `EPOCH`.
    fn epoch(&self) -> u32;
    /// A fresh random number.
    fn random(&self) -> u32;
    /// Whether connections to Services are alive that another proxy began and the kernel's conntrack translates.
    fn is_taking_over(&self) -> bool;
    /// Whether the flows that begin are the other proxy's, too: its rules are in force, and ours aren't everywhere.
    fn leaves_new_flows(&self) -> bool;
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

/// The frontend at an address: exact first, then a node port on any of the node's addresses (kube-proxy's order: node
/// ports come last).
///
/// # Errors
/// [`Stop::NotOurs`] for an address of no Service, and for a port of the node's own that is no node port;
/// [`Reason::NoSuchPort`] for a ClusterIP without this port.
#[inline(always)]
pub fn find(
    tables: &impl ServiceTables,
    client: Client,
    addr: Addr,
    port: Port,
    protocol: u8,
) -> Result<(ServiceKey, Service), Stop> {
    let Some(address) = address(tables, client, addr) else { return Err(Stop::NotOurs) };
    if address.is(address_flags::FRONTEND) {
        let exact = ServiceKey::new(addr, port, protocol);
        if let Some(service) = tables.service(&exact) {
            return Ok((exact, service));
        }
    }
    if address.is(address_flags::NODE_PORT) {
        let node_port = ServiceKey::new(addr.family().any(), port, protocol);
        if let Some(service) = tables.service(&node_port) {
            return Ok((node_port, service));
        }
    }
    Err(if is_nobodys(address) { Stop::Drop(Reason::NoSuchPort) } else { Stop::NotOurs })
}

/// Decides about a packet that no frontend can have: of another protocol.
///
/// # Errors
/// [`Reason::NoSuchPort`] for one to a ClusterIP, else [`Stop::NotOurs`].
#[inline(always)]
pub fn find_no_port(tables: &impl ServiceTables, client: Client, addr: Addr) -> Stop {
    match address(tables, client, addr) {
        Some(address) if is_nobodys(address) => Stop::Drop(Reason::NoSuchPort),
        _ => Stop::NotOurs,
    }
}

/// What `addr` is to a client. A loopback address is the client's own: the node's only to the node.
#[inline(always)]
fn address(tables: &impl ServiceTables, client: Client, addr: Addr) -> Option<Address> {
    if !addr.is_loopback() {
        return tables.address(&addr);
    }
    if matches!(client, Client::Node) { tables.address(&addr.family().loopback()) } else { None }
}

/// A ClusterIP, of which nothing but Service ports is to be expected. One that an interface of the node has (as
/// kube-proxy's IPVS mode gives it) may be listened on.
#[inline(always)]
fn is_nobodys(address: Address) -> bool {
    address.is(address_flags::CLUSTER_IP) && !address.is(address_flags::NODE)
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

/// Whom an endpoint is chosen for.
#[derive(Clone, Copy, Debug)]
pub struct Request {
    /// Where the client is.
    pub client: Client,
    /// Its own address, before any translation.
    pub source: Addr,
    /// Whole seconds of the kernel's monotonic clock.
    pub now: u32,
}

/// Whether `loadBalancerSourceRanges` let a source use a frontend. One that may not is told nothing, of endpoints or
/// anything else (kube-proxy's rule 2.29, as nftables mode has it): this is asked first.
///
/// # Errors
/// [`Reason::SourceRange`].
#[inline(always)]
pub fn admit(tables: &impl ServiceTables, found: &Service, source: &Addr) -> Result<(), Reason> {
    if found.flags & service_flags::SOURCE_RANGES != 0 && !tables.in_source_range(found.id, source) {
        return Err(Reason::SourceRange);
    }
    Ok(())
}

/// Chooses the endpoint for a client whose address is known: the one that session affinity binds it to.
///
/// # Errors
/// Those of [`choose`].
#[inline(always)]
pub fn choose_for(
    tables: &impl ServiceTables,
    key: &ServiceKey,
    found: Service,
    request: &Request,
) -> Result<(Service, Backend), Reason> {
    if found.affinity_timeout == 0 {
        return choose(tables, key, found, request.client);
    }
    let asking = Asking::new(&found, request);
    let mut bound = Backend::default();
    if asking.bound(tables, &mut bound) {
        return Ok((found, bound));
    }
    let (service, mut backend) = choose(tables, key, found, request.client)?;
    // Of two first connections at once the faster one decides, if what it chose may serve.
    if !asking.bind_first(tables, &backend) && !asking.bound(tables, &mut backend) {
        asking.bind(tables, &backend);
    }
    Ok((service, backend))
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

#[cfg(test)]
mod tests;
