//! The fields of Pods and Services that the lab acts on. The agent under test reads manifests with code of its own.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use serde::Deserialize;

use crate::family::{Addresses, Family};

/// A Pod.
#[derive(Clone, Debug, Deserialize)]
pub struct PodManifest {
    metadata: Metadata,
    spec: PodSpec,
    #[serde(default)]
    status: PodStatus,
}

/// A Service.
#[derive(Clone, Debug, Deserialize)]
pub struct ServiceManifest {
    metadata: Metadata,
    spec: ServiceSpec,
    #[serde(default)]
    status: ServiceStatus,
}

/// A port of a Service.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ServicePort {
    /// Port on the cluster address.
    pub port: u16,
    /// Port on each node's addresses.
    pub node_port: Option<u16>,
}

#[derive(Clone, Debug, Deserialize)]
struct Metadata {
    name: String,
    #[serde(default)]
    labels: BTreeMap<String, String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct PodSpec {
    node_name: String,
    #[serde(default)]
    containers: Vec<Container>,
}

#[derive(Clone, Debug, Deserialize)]
struct Container {
    #[serde(default)]
    ports: Vec<ContainerPort>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ContainerPort {
    container_port: u16,
    #[serde(default)]
    protocol: Protocol,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
enum Protocol {
    #[default]
    #[serde(rename = "TCP")]
    Tcp,
    #[serde(rename = "UDP")]
    Udp,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct PodStatus {
    #[serde(default, rename = "podIPs")]
    pod_ips: Vec<PodIp>,
    #[serde(default)]
    conditions: Vec<Condition>,
}

#[derive(Clone, Debug, Deserialize)]
struct PodIp {
    ip: IpAddr,
}

#[derive(Clone, Debug, Deserialize)]
struct Condition {
    #[serde(rename = "type")]
    kind: String,
    status: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ServiceSpec {
    /// Addresses, or "None".
    #[serde(default, rename = "clusterIPs")]
    cluster_ips: Vec<String>,
    ports: Vec<ServicePort>,
    #[serde(default)]
    selector: BTreeMap<String, String>,
    #[serde(default)]
    external_traffic_policy: TrafficPolicy,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ServiceStatus {
    #[serde(default)]
    load_balancer: LoadBalancerStatus,
}

#[derive(Clone, Debug, Default, Deserialize)]
struct LoadBalancerStatus {
    #[serde(default)]
    ingress: Vec<Ingress>,
}

#[derive(Clone, Debug, Deserialize)]
struct Ingress {
    ip: Option<IpAddr>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
enum TrafficPolicy {
    #[default]
    Cluster,
    Local,
}

impl PodManifest {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.metadata.name
    }

    /// Name of its node.
    #[must_use]
    pub fn node(&self) -> &str {
        &self.spec.node_name
    }

    /// Its addresses; none unless it has one of each family.
    #[must_use]
    pub fn addresses(&self) -> Option<Addresses> {
        let mut ips = self.status.pod_ips.iter().map(|pod_ip| pod_ip.ip);
        let (mut v4, mut v6) = (None, None);
        ips.by_ref().for_each(|ip| match ip {
            IpAddr::V4(ip) => v4 = Some(ip),
            IpAddr::V6(ip) => v6 = Some(ip),
        });
        Some(Addresses { v4: v4?, v6: v6? })
    }

    /// Whether its Ready condition is true.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.status.conditions.iter().any(|condition| condition.kind == "Ready" && condition.status == "True")
    }

    /// The TCP ports of its containers.
    #[must_use]
    pub fn tcp_ports(&self) -> Vec<u16> {
        self.ports(Protocol::Tcp)
    }

    /// The UDP ports of its containers.
    #[must_use]
    pub fn udp_ports(&self) -> Vec<u16> {
        self.ports(Protocol::Udp)
    }

    fn ports(&self, protocol: Protocol) -> Vec<u16> {
        let ports = self.spec.containers.iter().flat_map(|container| &container.ports);
        ports.filter(|port| port.protocol == protocol).map(|port| port.container_port).collect()
    }
}

impl ServiceManifest {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.metadata.name
    }

    /// Its ports.
    #[must_use]
    pub fn ports(&self) -> &[ServicePort] {
        &self.spec.ports
    }

    /// Cluster address and first port.
    #[must_use]
    pub fn cluster_ip(&self, family: Family) -> Option<SocketAddr> {
        self.at_first_port(self.spec.cluster_ips.iter().filter_map(|ip| ip.parse().ok()), family)
    }

    /// The load balancer's address and the first port.
    #[must_use]
    pub fn load_balancer(&self, family: Family) -> Option<SocketAddr> {
        self.at_first_port(self.status.load_balancer.ingress.iter().filter_map(|ingress| ingress.ip), family)
    }

    fn at_first_port(&self, mut ips: impl Iterator<Item = IpAddr>, family: Family) -> Option<SocketAddr> {
        let ip = ips.find(|ip| Family::of(*ip) == family)?;
        Some(SocketAddr::new(ip, self.spec.ports.first()?.port))
    }

    /// NodePort of the first port.
    #[must_use]
    pub fn node_port(&self) -> Option<u16> {
        self.spec.ports.first()?.node_port
    }

    /// Whether `externalTrafficPolicy` is Local.
    #[must_use]
    pub fn is_external_local(&self) -> bool {
        self.spec.external_traffic_policy == TrafficPolicy::Local
    }

    /// Whether its selector matches a Pod.
    #[must_use]
    pub fn selects(&self, pod: &PodManifest) -> bool {
        let labels = &pod.metadata.labels;
        !self.spec.selector.is_empty() && self.spec.selector.iter().all(|(key, value)| labels.get(key) == Some(value))
    }
}
