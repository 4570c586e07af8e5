//! What one Service port needs of the tables.

use std::collections::BTreeMap;

use proxy_common::addr::{Addr, Port};
use proxy_common::tables::{Backend, Member, ServiceKey, backend_flags, member_flags, service_flags};

use crate::model::{Endpoint, Frontend, FrontendKind, ServicePort, TrafficPolicy};

/// The entries of one Service port, but for its number and the order of its endpoints.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Desired {
    /// Frontends with their [`service_flags`].
    pub frontends: BTreeMap<ServiceKey, u32>,
    /// Endpoints for [`proxy_common::tables::EndpointSet::Cluster`].
    pub cluster: Vec<Backend>,
    /// Endpoints for [`proxy_common::tables::EndpointSet::Local`].
    pub local: Vec<Backend>,
    /// Endpoints that flows may stay on: those that are chosen for new ones, and those that still answer.
    pub members: BTreeMap<(Addr, Port), Member>,
}

impl Desired {
    /// No entries at all.
    pub(super) const fn none() -> Self {
        Self { frontends: BTreeMap::new(), cluster: Vec::new(), local: Vec::new(), members: BTreeMap::new() }
    }
}

impl From<&ServicePort> for Desired {
    fn from(port: &ServicePort) -> Self {
        let frontends = port.frontends.iter().map(|frontend| (key(frontend), flags(port, frontend))).collect();
        let cluster = usable(&port.endpoints, |_| true);
        let local = usable(&port.endpoints, |endpoint| endpoint.is_local);
        let members = members(port, &cluster, &local);
        Self { frontends, cluster, local, members }
    }
}

/// Those that may serve flows, and which of the sets they are in.
fn members(port: &ServicePort, cluster: &[Backend], local: &[Backend]) -> BTreeMap<(Addr, Port), Member> {
    let serving = port.endpoints.iter().filter(|it| it.ready || it.serving).map(|it| {
        let flags = if it.is_local { member_flags::ON_NODE } else { 0 };
        ((it.ip.into(), Port::new(it.port)), Member { flags })
    });
    let mut members: BTreeMap<_, _> = serving.collect();
    for (set, flag) in [(cluster, member_flags::CLUSTER), (local, member_flags::LOCAL)] {
        for backend in set {
            members.entry((backend.addr, backend.port)).or_default().flags |= flag;
        }
    }
    members
}

fn key(frontend: &Frontend) -> ServiceKey {
    ServiceKey::new(frontend.addr.into(), Port::new(frontend.port), frontend.protocol.number())
}

fn flags(port: &ServicePort, frontend: &Frontend) -> u32 {
    let (kind, policy) = match frontend.kind {
        FrontendKind::ClusterIp => (0, port.internal_traffic_policy),
        FrontendKind::ExternalIp | FrontendKind::LoadBalancer => {
            let load_balancer = frontend.kind == FrontendKind::LoadBalancer;
            let load_balancer = if load_balancer { service_flags::LOAD_BALANCER } else { 0 };
            (service_flags::EXTERNAL | load_balancer, port.external_traffic_policy)
        }
        FrontendKind::NodePort => (service_flags::EXTERNAL | service_flags::NODE_PORT, port.external_traffic_policy),
    };
    match policy {
        TrafficPolicy::Cluster => kind,
        TrafficPolicy::Local => kind | service_flags::LOCAL_ONLY,
    }
}

/// The ready ones of the endpoints in `scope`; where there is none, those that still serve while they terminate.
fn usable(endpoints: &[Endpoint], scope: impl Fn(&Endpoint) -> bool) -> Vec<Backend> {
    let of = |condition: fn(&Endpoint) -> bool| -> Vec<Backend> {
        endpoints.iter().filter(|it| scope(it) && condition(it)).map(backend).collect()
    };
    let ready = of(|it| it.ready);
    if ready.is_empty() { of(|it| it.serving && it.terminating) } else { ready }
}

fn backend(endpoint: &Endpoint) -> Backend {
    let flags = if endpoint.is_local { backend_flags::LOCAL } else { 0 };
    Backend { addr: endpoint.ip.into(), port: Port::new(endpoint.port), flags }
}

#[cfg(test)]
mod tests {
    use proxy_common::addr::Family;

    use super::*;
    use crate::model::fixtures::{endpoint, ip, service_port};
    use crate::model::{Protocol, ServicePort};

    const LOCAL_ONLY: u32 = service_flags::LOCAL_ONLY;
    const EXTERNAL: u32 = service_flags::EXTERNAL;
    const NODE_PORT: u32 = service_flags::EXTERNAL | service_flags::NODE_PORT;

    /// Conditions by letter: r(eady), s(erving), t(erminating), l(ocal).
    fn endpoint_with(text: &str, letters: &str) -> Endpoint {
        let has = |letter| letters.contains(letter);
        Endpoint { ready: has('r'), serving: has('s'), terminating: has('t'), is_local: has('l'), ..endpoint(text) }
    }

    fn with_endpoints(endpoints: &[(&str, &str)]) -> Desired {
        let endpoints = endpoints.iter().map(|(text, letters)| endpoint_with(text, letters)).collect();
        Desired::from(&service_port("web", "", "10.96.0.1", endpoints))
    }

    fn addresses(backends: &[Backend]) -> Vec<String> {
        backends.iter().map(|backend| backend.addr.to_string()).collect()
    }

    fn every_frontend() -> ServicePort {
        let mut port = service_port("web", "", "10.96.0.1", Vec::new());
        for (kind, text) in [(FrontendKind::ExternalIp, "203.0.113.1"), (FrontendKind::LoadBalancer, "203.0.113.2")] {
            port.frontends.push(Frontend { kind, addr: ip(text), port: 80, protocol: Protocol::Tcp });
        }
        port.frontends.push(Frontend::node_port(Family::V4, 30080, Protocol::Tcp));
        port
    }

    fn flags_by_address(port: &ServicePort) -> Vec<(String, u32)> {
        let frontends = Desired::from(port).frontends;
        frontends.iter().map(|(key, flags)| (format!("{}:{}", key.addr, key.port), *flags)).collect()
    }

    #[test]
    fn each_set_has_ready_endpoints_or_else_terminating_ones_that_serve() {
        for (story, endpoints, cluster, local) in [
            (
                "ready only",
                &[("10.0.0.1", "rs"), ("10.0.0.2", "rsl")][..],
                &["10.0.0.1", "10.0.0.2"][..],
                &["10.0.0.2"][..],
            ),
            ("ready beats terminating", &[("10.0.0.1", "rs"), ("10.0.0.2", "st")], &["10.0.0.1"], &[]),
            ("none ready", &[("10.0.0.1", "stl"), ("10.0.0.2", "st")], &["10.0.0.1", "10.0.0.2"], &["10.0.0.1"]),
            (
                "the local set falls back alone",
                &[("10.0.0.1", "rs"), ("10.0.0.2", "stl")],
                &["10.0.0.1"],
                &["10.0.0.2"],
            ),
            ("not ready, not terminating", &[("10.0.0.1", "s"), ("10.0.0.2", "t"), ("10.0.0.3", "")], &[], &[]),
            ("ready without serving", &[("10.0.0.1", "r")], &["10.0.0.1"], &[]),
        ] {
            let desired = with_endpoints(endpoints);
            assert_eq!(addresses(&desired.cluster), cluster, "{story}: cluster");
            assert_eq!(addresses(&desired.local), local, "{story}: local");
        }
    }

    #[test]
    fn flows_may_stay_on_ready_and_on_serving_endpoints() {
        let desired = with_endpoints(&[
            ("10.0.0.1", "rs"),
            ("10.0.0.2", "st"),
            ("10.0.0.3", "s"),
            ("10.0.0.4", "r"),
            ("10.0.0.5", "t"),
        ]);
        let members: Vec<_> = desired.members.keys().map(|(addr, _)| addr.to_string()).collect();
        assert_eq!(members, ["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4"]);
    }

    #[test]
    fn only_local_backends_are_marked_local() {
        let desired = with_endpoints(&[("10.0.0.1", "rs"), ("10.0.0.2", "rsl")]);
        assert_eq!(desired.cluster.iter().map(Backend::is_local).collect::<Vec<_>>(), [false, true]);
    }

    #[test]
    fn internal_traffic_policy_holds_for_the_cluster_ip_alone() {
        let port = ServicePort { internal_traffic_policy: TrafficPolicy::Local, ..every_frontend() };
        let expected = [
            ("0.0.0.0:30080", NODE_PORT),
            ("10.96.0.1:80", LOCAL_ONLY),
            ("203.0.113.1:80", EXTERNAL),
            ("203.0.113.2:80", EXTERNAL | service_flags::LOAD_BALANCER),
        ];
        assert_eq!(flags_by_address(&port), expected.map(|(text, flags)| (text.to_owned(), flags)));
    }

    #[test]
    fn external_traffic_policy_holds_for_every_frontend_but_the_cluster_ip() {
        let port = ServicePort { external_traffic_policy: TrafficPolicy::Local, ..every_frontend() };
        let expected = [
            ("0.0.0.0:30080", NODE_PORT | LOCAL_ONLY),
            ("10.96.0.1:80", 0),
            ("203.0.113.1:80", EXTERNAL | LOCAL_ONLY),
            ("203.0.113.2:80", EXTERNAL | LOCAL_ONLY | service_flags::LOAD_BALANCER),
        ];
        assert_eq!(flags_by_address(&port), expected.map(|(text, flags)| (text.to_owned(), flags)));
    }

    #[test]
    fn a_node_port_stands_under_any_address_of_its_family() {
        for family in [Family::V4, Family::V6] {
            let mut port = service_port("web", "", "10.96.0.1", Vec::new());
            port.frontends = vec![Frontend::node_port(family, 30080, Protocol::Udp)];
            let keys: Vec<_> = Desired::from(&port).frontends.into_keys().collect();
            assert_eq!(keys, [ServiceKey::new(family.any(), Port::new(30080), 17)]);
        }
    }
}
