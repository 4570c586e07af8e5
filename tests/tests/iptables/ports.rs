//! Service ports for tests.

use std::net::{IpAddr, SocketAddr};

use proxy_common::addr::Family;
use proxy_user::model::{
    Endpoint, Frontend, FrontendKind, Hint, Protocol, ServicePort, ServicePortName, ServiceRef, TrafficPolicy,
};

use crate::place::at;

/// The port of a Service at one ClusterIP.
pub(crate) fn port(name: &str, cluster_ip: &str, protocol: Protocol, endpoints: &[&str]) -> ServicePort {
    let to = at(cluster_ip);
    ServicePort {
        name: ServicePortName {
            service: ServiceRef::new("default", name),
            port: "http".into(),
            protocol,
            family: if to.is_ipv4() { Family::V4 } else { Family::V6 },
        },
        frontends: vec![frontend(FrontendKind::ClusterIp, to, protocol)],
        internal_traffic_policy: TrafficPolicy::Cluster,
        external_traffic_policy: TrafficPolicy::Cluster,
        session_affinity: None,
        source_ranges: None,
        endpoints: endpoints.iter().map(|text| endpoint(text)).collect(),
    }
}

/// An address and port of a Service.
pub(crate) fn frontend(kind: FrontendKind, to: SocketAddr, protocol: Protocol) -> Frontend {
    Frontend { kind, addr: to.ip(), port: to.port(), protocol }
}

/// A node port.
pub(crate) fn node_port(port: &ServicePort, number: u16) -> Frontend {
    Frontend::node_port(port.name.family, number, port.name.protocol)
}

/// A ready endpoint elsewhere; `*` before it says that it is here.
pub(crate) fn endpoint(text: &str) -> Endpoint {
    let to = at(text.trim_start_matches('*'));
    let is_local = text.starts_with('*');
    Endpoint {
        ip: to.ip(),
        port: to.port(),
        node_name: Some(if is_local { "here" } else { "elsewhere" }.into()),
        is_local,
        ready: true,
        serving: true,
        terminating: false,
        node_hint: Hint::Absent,
        zone_hint: Hint::Absent,
    }
}

/// Service ports of every kind, of a family: the first that matches each branch of what rules are made of.
pub(crate) fn of_every_kind(family: Family) -> Vec<ServicePort> {
    let (net, pods, outside) = match family {
        Family::V4 => ("10.96.0.", "10.1.0.", "203.0.113."),
        Family::V6 => ("fd00:96::", "fd00:1::", "2001:db8:113::"),
    };
    let join =
        |prefix: &str, host: u8, port: u16| SocketAddr::new(format!("{prefix}{host}").parse::<IpAddr>().unwrap(), port);
    let make = |name: &str, number: u8, protocol, local: &[u8], remote: &[u8]| {
        let local = local.iter().map(|host| format!("*{}", join(pods, *host, 8080)));
        let remote = remote.iter().map(|host| join(pods, *host, 8080).to_string());
        let endpoints: Vec<_> = local.chain(remote).collect();
        let endpoints: Vec<_> = endpoints.iter().map(String::as_str).collect();
        port(name, &join(net, number, 80).to_string(), protocol, &endpoints)
    };
    let everywhere = |mut port: ServicePort, number: u8| {
        let protocol = port.name.protocol;
        for (kind, host) in [(FrontendKind::ExternalIp, 0), (FrontendKind::LoadBalancer, 100)] {
            port.frontends.push(frontend(kind, join(outside, number + host, 80), protocol));
        }
        port.frontends.push(node_port(&port, 30_000 + u16::from(number)));
        port
    };
    let local = |port: ServicePort| ServicePort { external_traffic_policy: TrafficPolicy::Local, ..port };
    let ranges = match family {
        Family::V4 => ["192.0.2.0/24", "198.51.100.7/32"],
        Family::V6 => ["2001:db8:1::/64", "2001:db8:2::1/128"],
    };
    let ranges = Some(ranges.map(|range| range.parse().unwrap()).into());
    vec![
        make("plain", 1, Protocol::Tcp, &[1], &[2, 3]),
        everywhere(make("everywhere", 2, Protocol::Udp, &[], &[4, 5]), 2),
        local(everywhere(make("local", 3, Protocol::Tcp, &[6], &[7]), 3)),
        local(everywhere(make("none-here", 4, Protocol::Tcp, &[], &[8]), 4)),
        everywhere(make("nobody", 5, Protocol::Sctp, &[], &[]), 5),
        ServicePort { session_affinity: Some(600), ..make("bound", 6, Protocol::Tcp, &[9], &[10]) },
        ServicePort { source_ranges: ranges, ..everywhere(make("ranges", 7, Protocol::Tcp, &[], &[11]), 7) },
        ServicePort { internal_traffic_policy: TrafficPolicy::Local, ..make("inside", 8, Protocol::Tcp, &[], &[12]) },
    ]
}
