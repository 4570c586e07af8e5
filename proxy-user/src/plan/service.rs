//! What one Service port needs of the tables.

use std::collections::{BTreeMap, BTreeSet};

use ipnetwork::IpNetwork;
use proxy_common::addr::{Addr, Port};
use proxy_common::tables::{Backend, Member, MemberKey, ServiceKey, backend_flags, member_flags, service_flags};

use crate::model::{Endpoint, Frontend, FrontendKind, Reason, ServicePort, TrafficPolicy};

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
    /// Seconds of session affinity; 0 for none.
    pub affinity_timeout: u32,
    /// Who may use the frontends that have [`service_flags::SOURCE_RANGES`].
    pub source_ranges: BTreeSet<IpNetwork>,
}

impl Desired {
    /// No entries at all.
    pub(super) const fn none() -> Self {
        Self {
            frontends: BTreeMap::new(),
            cluster: Vec::new(),
            local: Vec::new(),
            members: BTreeMap::new(),
            affinity_timeout: 0,
            source_ranges: BTreeSet::new(),
        }
    }

    /// Whether an endpoint is among its members.
    pub(super) fn has_member(&self, key: &MemberKey) -> bool {
        self.members.contains_key(&(key.addr, key.port))
    }
}

impl From<&ServicePort> for Desired {
    fn from(port: &ServicePort) -> Self {
        let (cluster, local) = (port.cluster_set(), port.local_set());
        let reasons = why(cluster.reason, local.reason);
        let frontends: BTreeMap<_, _> = port.frontends.iter().map(|it| (key(it), flags(port, it) | reasons)).collect();
        let restricted = frontends.values().any(|flags| flags & service_flags::SOURCE_RANGES != 0);
        let [cluster, local] = [cluster, local].map(|set| set.endpoints.into_iter().map(backend).collect::<Vec<_>>());
        Self {
            frontends,
            members: members(port, &cluster, &local),
            cluster,
            local,
            affinity_timeout: port.session_affinity.unwrap_or(0),
            source_ranges: port.source_ranges.clone().filter(|_| restricted).unwrap_or_default(),
        }
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
        FrontendKind::ExternalIp => (service_flags::EXTERNAL, port.external_traffic_policy),
        FrontendKind::LoadBalancer => {
            (service_flags::EXTERNAL | service_flags::LOAD_BALANCER, port.external_traffic_policy)
        }
        FrontendKind::NodePort => (service_flags::EXTERNAL | service_flags::NODE_PORT, port.external_traffic_policy),
    };
    let restricted =
        matches!(frontend.kind, FrontendKind::ExternalIp | FrontendKind::LoadBalancer) && port.source_ranges.is_some();
    let flag = |set: bool, flag: u32| if set { flag } else { 0 };
    kind | flag(policy == TrafficPolicy::Local, service_flags::LOCAL_ONLY)
        | flag(restricted, service_flags::SOURCE_RANGES)
}

/// Flags that tell why the sets are as they are.
fn why(cluster: Reason, local: Reason) -> u32 {
    let terminating = |reason, flag: u32| if reason == Reason::Terminating { flag } else { 0 };
    let topology = match cluster {
        Reason::Ready(topology) => topology.flags(),
        Reason::Terminating | Reason::Nobody => 0,
    };
    topology
        | terminating(cluster, service_flags::TERMINATING_CLUSTER)
        | terminating(local, service_flags::TERMINATING_LOCAL)
}

fn backend(endpoint: &Endpoint) -> Backend {
    let flags = if endpoint.is_local { backend_flags::LOCAL } else { 0 };
    Backend { addr: endpoint.ip.into(), port: Port::new(endpoint.port), flags }
}

#[cfg(test)]
mod tests {
    use proxy_common::addr::Family;
    use proxy_common::tables::Topology;

    use super::*;
    use crate::model::fixtures::{endpoint, ip, service_port};
    use crate::model::{Hint, Protocol, ServicePort};

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
    fn source_ranges_hold_for_external_ips_and_the_load_balancers_addresses_alone() {
        const RESTRICTED: u32 = EXTERNAL | service_flags::SOURCE_RANGES;
        let ranges: BTreeSet<IpNetwork> = BTreeSet::from(["192.0.2.0/24".parse().unwrap()]);
        let port = ServicePort { source_ranges: Some(ranges.clone()), ..every_frontend() };
        let expected = [
            ("0.0.0.0:30080", NODE_PORT),
            ("10.96.0.1:80", 0),
            ("203.0.113.1:80", RESTRICTED),
            ("203.0.113.2:80", RESTRICTED | service_flags::LOAD_BALANCER),
        ];
        assert_eq!(flags_by_address(&port), expected.map(|(text, flags)| (text.to_owned(), flags)));
        assert_eq!(Desired::from(&port).source_ranges, ranges);
        let closed = ServicePort { source_ranges: Some(BTreeSet::new()), ..port };
        assert_eq!(flags_by_address(&closed)[2].1, RESTRICTED, "closed to everyone");
    }

    #[test]
    fn every_frontend_says_why_the_sets_are_as_they_are() {
        let why = |endpoints: Vec<Endpoint>| {
            let port = ServicePort { endpoints, ..every_frontend() };
            let kinds = [NODE_PORT, 0, EXTERNAL, EXTERNAL | service_flags::LOAD_BALANCER];
            let flags: BTreeSet<u32> =
                flags_by_address(&port).iter().zip(kinds).map(|((_, flags), kind)| flags & !kind).collect();
            assert_eq!(flags.len(), 1);
            let flags = *flags.first().unwrap();
            let set = |flag| flags & flag != 0;
            let terminating = [service_flags::TERMINATING_CLUSTER, service_flags::TERMINATING_LOCAL].map(set);
            (Topology::from_flags(flags), terminating)
        };
        let hinted = |zone_hint| Endpoint { zone_hint, ..endpoint_with("10.0.0.1", "rs") };
        let plain = |letters| endpoint_with("10.0.0.2", letters);
        assert_eq!(why(vec![]), (Topology::None, [false, false]));
        assert_eq!(why(vec![hinted(Hint::Here)]), (Topology::Zone, [false, false]));
        assert_eq!(why(vec![hinted(Hint::Here), plain("rs")]), (Topology::NotAllHinted, [false, false]));
        assert_eq!(why(vec![hinted(Hint::Unplaced), plain("stl")]), (Topology::ZoneUnknown, [false, true]));
        assert_eq!(why(vec![plain("st")]), (Topology::None, [true, false]));
    }

    #[test]
    fn only_endpoints_that_hints_leave_are_in_the_cluster_set_and_all_are_members() {
        let near = Endpoint { node_hint: Hint::Here, ..endpoint_with("10.0.0.1", "rs") };
        let far = Endpoint { node_hint: Hint::Elsewhere, ..endpoint_with("10.0.0.2", "rsl") };
        let desired = Desired::from(&service_port("web", "", "10.96.0.1", vec![near, far]));
        assert_eq!(
            (addresses(&desired.cluster), addresses(&desired.local)),
            (vec!["10.0.0.1".into()], vec!["10.0.0.2".into()])
        );
        let flags: Vec<_> = desired.members.values().map(|member| member.flags).collect();
        assert_eq!(flags, [member_flags::CLUSTER, member_flags::LOCAL | member_flags::ON_NODE]);
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
