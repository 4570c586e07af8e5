//! What load balancers ask each node about a Service.

use std::collections::{BTreeMap, BTreeSet};

use proxy_common::addr::Family;

use super::{Endpoint, Port, Service, ServiceRef};

/// A Service whose `healthCheckNodePort` this node answers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HealthCheck {
    /// The Service.
    pub service: ServiceRef,
    /// The port to listen on.
    pub port: u16,
    /// For each family of the Service, the distinct addresses of ready endpoints on this node, over all of its ports (8.4
    /// of kube-proxy's rules: those that serve while they terminate don't count, even where they are used).
    pub local_endpoints: BTreeMap<Family, usize>,
}

impl HealthCheck {
    /// That of `service`, whose endpoints `endpoints_of` gives; `None` where it has none or isn't served.
    pub(super) fn of(service: &Service, endpoints_of: impl Fn(&Port, Family) -> Vec<Endpoint>) -> Option<Self> {
        let port = service.health_check_node_port().filter(|_| service.is_served())?;
        let count = |of: Family| {
            let endpoints = service.ports.iter().flat_map(|port| endpoints_of(port, of));
            let ready = endpoints.filter(|it| it.is_local && it.ready).map(|it| it.ip);
            (of, ready.collect::<BTreeSet<_>>().len())
        };
        Some(Self { service: service.id.clone(), port, local_endpoints: service.families().map(count).collect() })
    }
}
