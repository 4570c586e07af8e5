//! Services.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnetwork::IpNetwork;
use proxy_common::addr::Family;

use super::{Frontend, FrontendKind, Protocol, ServiceRef, TrafficPolicy};

/// `spec.type`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ServiceType {
    /// ClusterIP.
    ClusterIp,
    /// NodePort.
    NodePort,
    /// LoadBalancer.
    LoadBalancer,
    /// `ExternalName`: DNS only.
    ExternalName,
}

/// Where a Service's port leads on a Pod.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum TargetPort {
    /// This number.
    Number(u16),
    /// The container port of this name.
    Name(String),
}

/// A port of a Service.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Port {
    /// Name; empty for the only port of a Service.
    pub name: String,
    /// Protocol.
    pub protocol: Protocol,
    /// Number clients use.
    pub port: u16,
    /// Number or name on the Pods; used only where endpoints come from Pods.
    pub target_port: TargetPort,
    /// Number on the nodes' own addresses.
    pub node_port: Option<u16>,
}

/// A Service.
#[expect(clippy::struct_excessive_bools, reason = "fields of the object, each for itself")]
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Service {
    /// Namespace and name.
    pub id: ServiceRef,
    /// `creationTimestamp` in seconds since 1970, where there is one.
    pub created: Option<i64>,
    /// It has the label `service.kubernetes.io/service-proxy-name`: another proxy serves it.
    pub proxied_elsewhere: bool,
    /// Type.
    pub service_type: ServiceType,
    /// `clusterIPs`, one of a family at most; none for a headless Service.
    pub cluster_ips: Vec<IpAddr>,
    /// External IPs.
    pub external_ips: Vec<IpAddr>,
    /// External IPs are frontends. Not the object's to say: the [`super::Cluster`] sets it.
    pub serves_external_ips: bool,
    /// Addresses of the load balancer's that reach the node unchanged (`ipMode: VIP`).
    pub load_balancer_ips: Vec<IpAddr>,
    /// Labels of the Pods behind it; empty where endpoints are not made from Pods.
    pub selector: BTreeMap<String, String>,
    /// Pods serve whether they are ready or not.
    pub publish_not_ready_addresses: bool,
    /// `internalTrafficPolicy`: of the ClusterIP.
    pub internal_traffic_policy: TrafficPolicy,
    /// `externalTrafficPolicy` as written; see [`Service::external_traffic_policy`].
    pub external_traffic_policy: TrafficPolicy,
    /// Under `sessionAffinity: ClientIP` its timeout in seconds, 1 to 86400.
    pub session_affinity: Option<u32>,
    /// `loadBalancerSourceRanges`; empty: clients may be anywhere. See [`Service::source_ranges`].
    pub load_balancer_source_ranges: Vec<IpNetwork>,
    /// `healthCheckNodePort` as written; see [`Service::health_check_node_port`].
    pub health_check_node_port: Option<u16>,
    /// It has a `trafficDistribution`, which acts through the hints that the EndpointSlice controller writes.
    pub traffic_distribution: bool,
    /// Ports, in the order of the object.
    pub ports: Vec<Port>,
}

impl Service {
    /// Whether this proxy serves it at all (1.2, 1.7 of kube-proxy's rules: not headless, not `ExternalName`, not another
    /// proxy's).
    #[must_use]
    pub fn is_served(&self) -> bool {
        !self.proxied_elsewhere && self.service_type != ServiceType::ExternalName && !self.cluster_ips.is_empty()
    }

    /// The families it exists in: those it has a ClusterIP of.
    pub fn families(&self) -> impl Iterator<Item = Family> {
        self.cluster_ips.iter().map(|ip| family(*ip))
    }

    /// `externalTrafficPolicy`, where it has a meaning: Local holds for NodePort, LoadBalancer, and ClusterIP with
    /// external IPs.
    #[must_use]
    pub fn external_traffic_policy(&self) -> TrafficPolicy {
        let honoured = match self.service_type {
            ServiceType::NodePort | ServiceType::LoadBalancer => true,
            ServiceType::ClusterIp => !self.external_ips.is_empty(),
            ServiceType::ExternalName => false,
        };
        if honoured { self.external_traffic_policy } else { TrafficPolicy::Cluster }
    }

    /// Whether a load balancer asks each node for its health: only it, and only where nodes without a local endpoint are
    /// to be avoided (1.10 of kube-proxy's rules).
    #[must_use]
    pub fn has_health_check(&self) -> bool {
        self.service_type == ServiceType::LoadBalancer && self.external_traffic_policy == TrafficPolicy::Local
    }

    /// `healthCheckNodePort`, where it has a meaning.
    #[must_use]
    pub fn health_check_node_port(&self) -> Option<u16> {
        self.health_check_node_port.filter(|_| self.has_health_check())
    }

    /// Where clients of its external IPs and of its load balancer's addresses may be; `None`: anywhere. A range of all
    /// addresses opens its own family; a family without a range is closed. A node that is in a range may send to an
    /// address of the Service that is its own, under that address (2.27 of kube-proxy's rules).
    #[must_use]
    pub fn source_ranges(&self, of: Family, node: &BTreeSet<IpAddr>) -> Option<BTreeSet<IpNetwork>> {
        let ranges: BTreeSet<IpNetwork> =
            self.load_balancer_source_ranges.iter().copied().filter(|range| family(range.ip()) == of).collect();
        if self.load_balancer_source_ranges.is_empty() || ranges.iter().any(|range| range.prefix() == 0) {
            return None;
        }
        let holds_node = node.iter().any(|ip| ranges.iter().any(|range| range.contains(*ip)));
        let own = self.external_ips.iter().chain(&self.load_balancer_ips);
        let own = own.filter(|ip| holds_node && family(**ip) == of).map(|ip| IpNetwork::from(*ip));
        Some(ranges.iter().copied().chain(own).collect())
    }

    /// The frontends of `port` in `of`; an address that stands twice counts once, as the first.
    #[must_use]
    pub fn frontends(&self, port: &Port, of: Family) -> Vec<Frontend> {
        let addressed = |kind, ips: &[IpAddr]| {
            let ips: Vec<IpAddr> = ips.iter().copied().filter(|ip| family(*ip) == of).collect();
            ips.into_iter().map(move |addr| Frontend { kind, addr, port: port.port, protocol: port.protocol })
        };
        let external_ips = if self.serves_external_ips { self.external_ips.as_slice() } else { &[] };
        let mut frontends: Vec<Frontend> = Vec::new();
        let candidates = addressed(FrontendKind::ClusterIp, &self.cluster_ips)
            .chain(addressed(FrontendKind::ExternalIp, external_ips))
            .chain(addressed(FrontendKind::LoadBalancer, &self.load_balancer_ips))
            .chain(port.node_port.map(|number| Frontend::node_port(of, number, port.protocol)));
        for frontend in candidates {
            if frontends.iter().all(|other| other.key() != frontend.key()) {
                frontends.push(frontend);
            }
        }
        frontends
    }

    /// Every frontend of every port and family; none where it isn't served.
    #[must_use]
    pub fn all_frontends(&self) -> Vec<Frontend> {
        if !self.is_served() {
            return Vec::new();
        }
        self.families().flat_map(|of| self.ports.iter().flat_map(move |port| self.frontends(port, of))).collect()
    }
}

/// Family of an address.
pub(super) const fn family(ip: IpAddr) -> Family {
    match ip {
        IpAddr::V4(_) => Family::V4,
        IpAddr::V6(_) => Family::V6,
    }
}
