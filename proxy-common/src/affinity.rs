//! Session affinity by client address: one client, one endpoint, through every frontend of a Service port.

use crate::flow::idle_longer_than;
use crate::service::{Request, ServiceTables, endpoint_set};
use crate::tables::{Affinity, AffinityKey, Backend, EndpointSet, MemberKey, Service};

/// A client that asks a Service port with session affinity for an endpoint.
#[derive(Clone, Copy, Debug)]
pub struct Asking {
    key: AffinityKey,
    set: EndpointSet,
    timeout: u32,
    generation: u32,
    now: u32,
}

impl Asking {
    /// `request` asks `service`.
    #[inline(always)]
    #[must_use]
    pub fn new(service: &Service, request: &Request) -> Self {
        Self {
            key: AffinityKey { client: request.source, service: service.id },
            set: endpoint_set(service, request.client),
            timeout: service.affinity_timeout,
            generation: service.affinity_generation,
            now: request.now,
        }
    }

    /// Writes to `backend` the endpoint that the client is bound to, if it is bound to one that the frontend may use, and
    /// notes the new connection: the time-out runs from the last one (kube-proxy's rules 5.3 and 5.4).
    #[inline(never)]
    pub fn bound(&self, tables: &impl ServiceTables, backend: &mut Backend) -> bool {
        let Some(bound) = tables.affinity(&self.key) else { return false };
        if bound.generation != self.generation || idle_longer_than(self.timeout, bound.last_used, self.now) {
            return false;
        }
        let Some(member) = tables.member(&MemberKey::new(self.key.service, bound.addr, bound.port)) else {
            return false;
        };
        if !member.is_in(self.set) {
            return false;
        }
        if bound.last_used != self.now {
            tables.bind(&self.key, &Affinity::new(bound.addr, bound.port, self.generation, self.now));
        }
        *backend = member.backend(bound.addr, bound.port);
        true
    }

    /// Binds the client to `backend`, unless another CPU has just bound it; whether it did.
    #[inline(never)]
    pub fn bind_first(&self, tables: &impl ServiceTables, backend: &Backend) -> bool {
        tables.bind_first(&self.key, &self.affinity(backend))
    }

    /// Binds the client to `backend`, whatever it is bound to.
    #[inline(never)]
    pub fn bind(&self, tables: &impl ServiceTables, backend: &Backend) {
        tables.bind(&self.key, &self.affinity(backend));
    }

    #[inline(always)]
    const fn affinity(&self, backend: &Backend) -> Affinity {
        Affinity::new(backend.addr, backend.port, self.generation, self.now)
    }
}
