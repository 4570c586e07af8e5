//! What load balancers are told of a Service on this node.

use std::collections::{BTreeMap, BTreeSet};

use proxy_common::addr::Family;

use super::{Cluster, ServiceRef};

/// What the health check port of a Service is to say in one family.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HealthCheck {
    /// `healthCheckNodePort`.
    pub port: u16,
    /// Addresses of ready endpoints on this node. One with several ports counts once, and one that terminates not at all,
    /// also while it still serves as the last resort (8.4 of kube-proxy's rules).
    pub local_endpoints: usize,
}

impl Cluster {
    /// The health checks of `service` in each of its families; none where it has no health check port, doesn't exist or
    /// isn't served.
    #[must_use]
    pub fn health_checks(&self, service: &ServiceRef) -> BTreeMap<Family, HealthCheck> {
        let Some(service) = self.service(service).filter(|service| service.is_served()) else {
            return BTreeMap::new();
        };
        let Some(port) = service.health_check_node_port() else { return BTreeMap::new() };
        let local_endpoints = |of| {
            let endpoints = service.ports.iter().flat_map(|port| self.port_endpoints(service, port, of));
            let local = endpoints.filter(|it| it.is_local && it.ready).map(|it| it.ip);
            local.collect::<BTreeSet<_>>().len()
        };
        service.families().map(|of| (of, HealthCheck { port, local_endpoints: local_endpoints(of) })).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::fixtures::{HERE, group, port, service, slice};
    use crate::model::{Change, Object, Service, ServiceType, TargetPort, TrafficPolicy};

    fn web() -> Service {
        Service {
            service_type: ServiceType::LoadBalancer,
            external_traffic_policy: TrafficPolicy::Local,
            health_check_node_port: Some(30_000),
            ..service("web", &["10.96.0.1", "fd00::1"])
        }
    }

    fn cluster(objects: impl IntoIterator<Item = Object>) -> Cluster {
        let mut cluster = Cluster::new(HERE);
        for object in objects {
            cluster.apply(Change::Apply(object));
        }
        cluster
    }

    fn local_endpoints(cluster: &Cluster) -> Vec<usize> {
        let checks = cluster.health_checks(&ServiceRef::new("default", "web"));
        checks.values().map(|check| check.local_endpoints).collect()
    }

    #[test]
    fn only_a_load_balancer_with_a_local_policy_has_a_health_check_port() {
        for (service, expected) in [
            (web(), 2),
            (Service { external_traffic_policy: TrafficPolicy::Cluster, ..web() }, 0),
            (Service { service_type: ServiceType::NodePort, ..web() }, 0),
            (Service { health_check_node_port: None, ..web() }, 0),
            (Service { proxied_elsewhere: true, ..web() }, 0),
            (Service { cluster_ips: Vec::new(), ..web() }, 0),
        ] {
            assert_eq!(local_endpoints(&cluster([Object::Service(service.clone())])).len(), expected, "{service:?}");
        }
    }

    #[test]
    fn ready_local_addresses_count_once_in_their_family() {
        let mut two_ports = group(&["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4", "fd00::11"]);
        two_ports.ports[0].name = "http".into();
        let mut https = two_ports.ports[0].clone();
        (https.name, https.port) = ("https".into(), 8443);
        two_ports.ports.push(https);
        two_ports.endpoints[1].ready = false;
        two_ports.endpoints[2].node_name = Some("node2".into());
        (two_ports.endpoints[3].ready, two_ports.endpoints[3].terminating) = (false, true);
        let ports = ["http", "https"].map(|name| port(name, 80 + u16::from(name == "https"), TargetPort::Number(1)));
        let service = Service { ports: ports.into(), ..web() };
        let mut slice = slice("web-1", "web", &[]);
        slice.group = two_ports;
        let cluster = cluster([Object::Service(service), Object::EndpointSlice(slice)]);
        assert_eq!(local_endpoints(&cluster), [1, 1]);
    }
}
