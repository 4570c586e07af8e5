//! Small objects for tests.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::{
    ContainerPort, Endpoint, EndpointGroup, EndpointSlice, Endpoints, Frontend, FrontendKind, GroupEndpoint, GroupPort,
    Hint, Node, Pod, Port, Protocol, Service, ServicePort, ServicePortName, ServiceRef, ServiceType, TargetPort,
    TrafficPolicy,
};
use crate::model::service::family;

/// The node the tests look from.
pub(crate) const HERE: &str = "node1";

pub(crate) fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

pub(crate) fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

/// A ClusterIP Service in `default` with the unnamed port 80/TCP -> 8080 and the selector `app=NAME`.
pub(crate) fn service(name: &str, cluster_ips: &[&str]) -> Service {
    Service {
        id: ServiceRef::new("default", name),
        created: None,
        proxied_elsewhere: false,
        service_type: ServiceType::ClusterIp,
        cluster_ips: cluster_ips.iter().map(|text| ip(text)).collect(),
        external_ips: Vec::new(),
        serves_external_ips: true,
        load_balancer_ips: Vec::new(),
        selector: labels(&[("app", name)]),
        publish_not_ready_addresses: false,
        internal_traffic_policy: TrafficPolicy::Cluster,
        external_traffic_policy: TrafficPolicy::Cluster,
        session_affinity: None,
        load_balancer_source_ranges: Vec::new(),
        health_check_node_port: None,
        traffic_distribution: false,
        ports: vec![port("", 80, TargetPort::Number(8080))],
    }
}

pub(crate) fn port(name: &str, number: u16, target_port: TargetPort) -> Port {
    Port { name: name.into(), protocol: Protocol::Tcp, port: number, target_port, node_port: None }
}

/// A ready Pod in `default` on the tests' node with the label `app=APP` and the container port `http` 8080/TCP.
pub(crate) fn pod(name: &str, app: &str, ips: &[&str]) -> Pod {
    Pod {
        namespace: "default".into(),
        name: name.into(),
        labels: labels(&[("app", app)]).into(),
        node_name: Some(HERE.into()),
        ips: ips.iter().map(|text| ip(text)).collect(),
        ports: vec![ContainerPort { name: "http".into(), protocol: Protocol::Tcp, port: 8080 }],
        ready: true,
        terminating: false,
        finished: false,
        host_network: false,
    }
}

/// Ready addresses on the tests' node with the unnamed port 8080/TCP.
pub(crate) fn group(ips: &[&str]) -> EndpointGroup {
    EndpointGroup {
        ports: vec![GroupPort { name: String::new(), protocol: Protocol::Tcp, port: 8080 }],
        endpoints: ips
            .iter()
            .map(|text| GroupEndpoint {
                ip: ip(text),
                node_name: Some(HERE.into()),
                ready: true,
                serving: true,
                terminating: false,
                hints: None,
            })
            .collect(),
    }
}

/// A slice in `default` of the Service `of`.
pub(crate) fn slice(name: &str, of: &str, ips: &[&str]) -> EndpointSlice {
    EndpointSlice {
        namespace: "default".into(),
        name: name.into(),
        service: Some(ServiceRef::new("default", of)),
        family: ips.first().map(|text| family(ip(text))),
        last_change: None,
        group: group(ips),
    }
}

/// The Endpoints object in `default` of the Service `of`.
pub(crate) fn endpoints(of: &str, ips: &[&str]) -> Endpoints {
    Endpoints { service: ServiceRef::new("default", of), subsets: vec![group(ips)] }
}

/// A ready endpoint on another node.
pub(crate) fn endpoint(text: &str) -> Endpoint {
    Endpoint {
        ip: ip(text),
        port: 8080,
        node_name: Some("node2".into()),
        is_local: false,
        ready: true,
        serving: true,
        terminating: false,
        node_hint: Hint::Absent,
        zone_hint: Hint::Absent,
    }
}

/// The port `port` 80/TCP of the Service `service` in `default`, at one ClusterIP.
pub(crate) fn service_port(service: &str, port: &str, cluster_ip: &str, endpoints: Vec<Endpoint>) -> ServicePort {
    let addr = ip(cluster_ip);
    ServicePort {
        name: ServicePortName {
            service: ServiceRef::new("default", service),
            port: port.into(),
            protocol: Protocol::Tcp,
            family: family(addr),
        },
        frontends: vec![Frontend { kind: FrontendKind::ClusterIp, addr, port: 80, protocol: Protocol::Tcp }],
        internal_traffic_policy: TrafficPolicy::Cluster,
        external_traffic_policy: TrafficPolicy::Cluster,
        session_affinity: None,
        source_ranges: None,
        endpoints,
    }
}

/// A Node with this address of type `InternalIP`.
pub(crate) fn node(name: &str, internal_ip: &str, zone: Option<&str>) -> Node {
    Node {
        name: name.into(),
        labels: zone.map(|zone| ("topology.kubernetes.io/zone".to_owned(), zone.to_owned())).into_iter().collect(),
        internal_ips: vec![ip(internal_ip)],
        pod_cidrs: Vec::new(),
        terminating: false,
        to_be_deleted: false,
    }
}
