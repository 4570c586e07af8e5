//! What is told of Services besides their tables: to load balancers whether this node has endpoints of theirs, to metrics
//! where a Local policy leaves a port without. True of what the kernel has, not of what it is about to get.

use std::collections::BTreeMap;
use std::sync::Arc;

use proxy_common::addr::Family;

use crate::model::{Cluster, NoLocalEndpoints, ServiceRef, TrafficPolicy};
use crate::serve::HealthChecks;

/// What is told of every Service.
#[derive(Debug, Default)]
pub(super) struct Told {
    health_checks: Arc<HealthChecks>,
    /// Of each Service port that lacks local endpoints by a policy, its family and which.
    lacking: BTreeMap<ServiceRef, Vec<(Family, NoLocalEndpoints)>>,
}

impl Told {
    /// The kernel has `service` as it is in `cluster`.
    pub(super) fn update(&mut self, cluster: &Cluster, service: &ServiceRef) {
        let checks = cluster.health_checks(service);
        for of in [Family::V4, Family::V6] {
            let key = (service.clone(), of);
            // Whoever holds the last state goes on with it; so it is copied, and only for a change.
            if self.health_checks.get(&key) != checks.get(&of) {
                let all = Arc::make_mut(&mut self.health_checks);
                match checks.get(&of) {
                    Some(check) => all.insert(key, *check),
                    None => all.remove(&key),
                };
            }
        }
        match lacking(cluster, service) {
            ports if ports.is_empty() => drop(self.lacking.remove(service)),
            ports => drop(self.lacking.insert(service.clone(), ports)),
        }
    }

    /// What the health check ports are to say.
    pub(super) fn health_checks(&self) -> &Arc<HealthChecks> {
        &self.health_checks
    }

    /// How many Service ports of a family have no local endpoint by their internal and their external policy.
    pub(super) fn no_local_endpoints(&self, of: Family) -> (usize, usize) {
        let ports = || self.lacking.values().flatten().filter(|(family, _)| *family == of);
        (ports().filter(|(_, it)| it.internal).count(), ports().filter(|(_, it)| it.external).count())
    }
}

fn lacking(cluster: &Cluster, service: &ServiceRef) -> Vec<(Family, NoLocalEndpoints)> {
    let local = TrafficPolicy::Local;
    let may_lack = cluster
        .service(service)
        .is_some_and(|it| it.internal_traffic_policy == local || it.external_traffic_policy() == local);
    let ports = if may_lack { cluster.service_ports(service) } else { Vec::new() };
    let ports = ports.iter().map(|port| (port.name.family, port.no_local_endpoints()));
    ports.filter(|(_, it)| it.internal || it.external).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::fixtures::{HERE, service, slice};
    use crate::model::{Change, Object, Service, ServiceType};

    #[test]
    fn a_service_is_told_of_as_it_is_now_and_not_once_it_is_gone() {
        let mut cluster = Cluster::new(HERE);
        let web = Service {
            service_type: ServiceType::LoadBalancer,
            external_traffic_policy: TrafficPolicy::Local,
            health_check_node_port: Some(30_000),
            ..service("web", &["10.96.0.1", "fd00::1"])
        };
        let id = web.id.clone();
        let mut elsewhere = slice("web-1", "web", &["10.0.0.1"]);
        elsewhere.group.endpoints[0].node_name = Some("node2".into());
        let object = Object::Service(web);
        let gone = Change::Delete(object.object_ref());
        cluster.apply(Change::Apply(object));
        cluster.apply(Change::Apply(Object::EndpointSlice(elsewhere)));

        let mut told = Told::default();
        told.update(&cluster, &id);
        let ports: Vec<u16> = told.health_checks().values().map(|check| check.port).collect();
        assert_eq!(ports, [30_000, 30_000]);
        assert_eq!((told.no_local_endpoints(Family::V4), told.no_local_endpoints(Family::V6)), ((0, 1), (0, 0)));

        let before = told.health_checks().clone();
        told.update(&cluster, &id);
        assert!(Arc::ptr_eq(&before, told.health_checks()), "nothing is copied where nothing changed");

        cluster.apply(gone);
        told.update(&cluster, &id);
        assert!(told.health_checks().is_empty());
        assert_eq!(told.no_local_endpoints(Family::V4), (0, 0));
    }
}
