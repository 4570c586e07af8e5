//! How many Service ports turn clients away on this node though they have endpoints on others.

use std::collections::{BTreeMap, HashMap};

use proxy_common::addr::Family;

use super::{FrontendKind, ServicePort, ServiceRef, TrafficPolicy};

/// Which of a Service port's two policies.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Direction {
    /// `internalTrafficPolicy`.
    Internal,
    /// `externalTrafficPolicy`.
    External,
}

/// Service ports with a Local policy, an endpoint somewhere and none here (8.29 of kube-proxy's rules). Kept in step with
/// each Service that changes, so that counting costs nothing.
#[derive(Default, Debug)]
pub struct NoLocalEndpoints {
    by_service: HashMap<ServiceRef, Vec<(Direction, Family)>>,
    counts: BTreeMap<(Direction, Family), usize>,
}

impl NoLocalEndpoints {
    /// Takes in what the ports of `service` are now; none where it is no more.
    pub fn update(&mut self, service: &ServiceRef, ports: &[ServicePort]) {
        for key in self.by_service.remove(service).into_iter().flatten() {
            *self.counts.entry(key).or_default() -= 1;
        }
        let lacking: Vec<_> = ports.iter().flat_map(lacking).collect();
        for key in &lacking {
            *self.counts.entry(*key).or_default() += 1;
        }
        if !lacking.is_empty() {
            self.by_service.insert(service.clone(), lacking);
        }
    }

    /// How many Service ports of the family `of` there are.
    #[must_use]
    pub fn count(&self, direction: Direction, of: Family) -> usize {
        self.counts.get(&(direction, of)).copied().unwrap_or_default()
    }
}

/// The directions in which `port` has nobody here.
fn lacking(port: &ServicePort) -> impl Iterator<Item = (Direction, Family)> {
    let remote_only = port.local_set().endpoints.is_empty() && !port.cluster_set().endpoints.is_empty();
    let has = |internal: bool| port.frontends.iter().any(|it| (it.kind == FrontendKind::ClusterIp) == internal);
    let internal = port.internal_traffic_policy == TrafficPolicy::Local && has(true);
    let external = port.external_traffic_policy == TrafficPolicy::Local && has(false);
    [(Direction::Internal, internal), (Direction::External, external)]
        .into_iter()
        .filter(move |(_, is_local)| remote_only && *is_local)
        .map(|(direction, _)| (direction, port.name.family))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::fixtures::{endpoint, service_port};
    use crate::model::{Endpoint, Frontend, Protocol};

    fn counts(ports: &[ServicePort]) -> [usize; 2] {
        let mut counted = NoLocalEndpoints::default();
        counted.update(&ServiceRef::new("default", "web"), ports);
        [Direction::Internal, Direction::External].map(|direction| counted.count(direction, Family::V4))
    }

    fn port(internal: TrafficPolicy, external: TrafficPolicy, endpoints: Vec<Endpoint>) -> ServicePort {
        let mut port = service_port("web", "", "10.96.0.1", endpoints);
        port.frontends.push(Frontend::node_port(Family::V4, 30080, Protocol::Tcp));
        ServicePort { internal_traffic_policy: internal, external_traffic_policy: external, ..port }
    }

    #[test]
    fn only_a_local_policy_with_endpoints_on_other_nodes_alone_counts() {
        use TrafficPolicy::{Cluster, Local};
        let (remote, local) = (endpoint("10.0.0.1"), Endpoint { is_local: true, ..endpoint("10.0.0.2") });
        for (story, port, expected) in [
            ("both policies", port(Local, Local, vec![remote.clone()]), [1, 1]),
            ("one of them", port(Cluster, Local, vec![remote.clone()]), [0, 1]),
            ("neither", port(Cluster, Cluster, vec![remote.clone()]), [0, 0]),
            ("an endpoint here", port(Local, Local, vec![remote.clone(), local.clone()]), [0, 0]),
            ("no endpoint at all", port(Local, Local, vec![]), [0, 0]),
            (
                "one here that isn't ready",
                port(Local, Local, vec![remote.clone(), Endpoint { ready: false, ..local }]),
                [1, 1],
            ),
            (
                "no external frontend",
                ServicePort {
                    internal_traffic_policy: Local,
                    external_traffic_policy: Local,
                    ..service_port("web", "", "10.96.0.1", vec![remote])
                },
                [1, 0],
            ),
        ] {
            assert_eq!(counts(&[port]), expected, "{story}");
        }
    }

    #[test]
    fn a_service_counts_as_it_is_now() {
        let mut counted = NoLocalEndpoints::default();
        let web = ServiceRef::new("default", "web");
        let lacking = port(TrafficPolicy::Local, TrafficPolicy::Local, vec![endpoint("10.0.0.1")]);
        let external = |counted: &NoLocalEndpoints| counted.count(Direction::External, Family::V4);
        counted.update(&web, std::slice::from_ref(&lacking));
        counted.update(&web, &[lacking]);
        assert_eq!(external(&counted), 1);
        counted.update(&web, &[]);
        assert_eq!(external(&counted), 0);
    }
}
