//! Services.

use std::net::IpAddr;

use ipnetwork::IpNetwork;
use k8s_openapi::api::core::v1::{Service as ApiService, ServicePort as ApiPort, ServiceSpec, ServiceStatus};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::field::{self, FieldError, FieldProblem};
use super::meta;
use crate::model::{Port, Service, ServiceRef, ServiceType, TargetPort, TrafficPolicy};

const SERVICE_PROXY_NAME: &str = "service.kubernetes.io/service-proxy-name";
/// Seconds, the API's default.
const DEFAULT_AFFINITY_TIMEOUT: i32 = 10_800;
/// Seconds, the API's limit: a day.
const MAX_AFFINITY_TIMEOUT: u32 = 86_400;

impl TryFrom<ApiService> for Service {
    type Error = FieldError;

    fn try_from(object: ApiService) -> Result<Self, FieldError> {
        let metadata = object.metadata;
        let id = ServiceRef::new(meta::namespace(&metadata)?, meta::name(&metadata)?);
        field::label(&id.name, || "metadata.name".into())?;
        let spec = object.spec.unwrap_or_default();
        let service_type = service_type(&spec)?;
        let internal = traffic_policy(spec.internal_traffic_policy.as_deref(), "spec.internalTrafficPolicy")?;
        let external = traffic_policy(spec.external_traffic_policy.as_deref(), "spec.externalTrafficPolicy")?;
        Ok(Self {
            id,
            created: metadata.creation_timestamp.map(|time| time.0.as_second()),
            proxied_elsewhere: metadata.labels.is_some_and(|labels| labels.contains_key(SERVICE_PROXY_NAME)),
            service_type,
            cluster_ips: cluster_ips(&spec, service_type)?,
            external_ips: external_ips(&spec)?,
            serves_external_ips: true,
            load_balancer_ips: load_balancer_ips(object.status.unwrap_or_default())?,
            publish_not_ready_addresses: spec.publish_not_ready_addresses.unwrap_or(false),
            internal_traffic_policy: internal,
            external_traffic_policy: external,
            session_affinity: session_affinity(&spec)?,
            load_balancer_source_ranges: source_ranges(&spec)?,
            health_check_node_port: health_check_node_port(&spec)?,
            traffic_distribution: spec.traffic_distribution.as_deref().is_some_and(|word| !word.is_empty()),
            ports: ports(spec.ports.as_deref().unwrap_or_default(), service_type)?,
            selector: spec.selector.unwrap_or_default(),
        })
    }
}

fn service_type(spec: &ServiceSpec) -> Result<ServiceType, FieldError> {
    let expected = "ClusterIP, NodePort, LoadBalancer, ExternalName";
    field::choice(
        spec.type_.as_deref(),
        ServiceType::ClusterIp,
        expected,
        || "spec.type".into(),
        |word| match word {
            "ClusterIP" => Some(ServiceType::ClusterIp),
            "NodePort" => Some(ServiceType::NodePort),
            "LoadBalancer" => Some(ServiceType::LoadBalancer),
            "ExternalName" => Some(ServiceType::ExternalName),
            _ => None,
        },
    )
}

fn traffic_policy(word: Option<&str>, path: &str) -> Result<TrafficPolicy, FieldError> {
    field::choice(
        word,
        TrafficPolicy::Cluster,
        "Cluster, Local",
        || path.into(),
        |word| match word {
            "Cluster" => Some(TrafficPolicy::Cluster),
            "Local" => Some(TrafficPolicy::Local),
            _ => None,
        },
    )
}

/// The timeout in seconds under `ClientIP`.
fn session_affinity(spec: &ServiceSpec) -> Result<Option<u32>, FieldError> {
    let by_client = field::choice(
        spec.session_affinity.as_deref(),
        false,
        "None, ClientIP",
        || "spec.sessionAffinity".into(),
        |word| match word {
            "None" => Some(false),
            "ClientIP" => Some(true),
            _ => None,
        },
    )?;
    let config = spec.session_affinity_config.as_ref().and_then(|config| config.client_ip.as_ref());
    let seconds = config.and_then(|config| config.timeout_seconds).unwrap_or(DEFAULT_AFFINITY_TIMEOUT);
    let path = || "spec.sessionAffinityConfig.clientIP.timeoutSeconds".to_owned();
    by_client.then(|| field::between(seconds, 1..=MAX_AFFINITY_TIMEOUT, path)).transpose()
}

fn source_ranges(spec: &ServiceSpec) -> Result<Vec<IpNetwork>, FieldError> {
    let texts = spec.load_balancer_source_ranges.iter().flatten().enumerate();
    texts.map(|(i, text)| field::range(text, || format!("spec.loadBalancerSourceRanges[{i}]"))).collect()
}

/// 0 is what a client that knows no other value for "none" writes.
fn health_check_node_port(spec: &ServiceSpec) -> Result<Option<u16>, FieldError> {
    let given = spec.health_check_node_port.filter(|port| *port != 0);
    given.map(|port| field::port(port, || "spec.healthCheckNodePort".into())).transpose()
}

/// `clusterIPs`, or `clusterIP` alone; "None" makes the Service headless.
fn cluster_ips(spec: &ServiceSpec, service_type: ServiceType) -> Result<Vec<IpAddr>, FieldError> {
    let single = spec.cluster_ip.as_deref().filter(|ip| !ip.is_empty());
    let listed: Vec<&str> = spec.cluster_ips.iter().flatten().map(String::as_str).collect();
    if let (Some(first), Some(single)) = (listed.first(), single)
        && *first != single
    {
        let problem = FieldProblem::Differs { value: (*first).to_owned(), other: "spec.clusterIP" };
        return Err(problem.at("spec.clusterIPs[0]"));
    }
    let (texts, is_list) = if listed.is_empty() { (single.into_iter().collect(), false) } else { (listed, true) };
    let path = |i: usize| if is_list { format!("spec.clusterIPs[{i}]") } else { "spec.clusterIP".to_owned() };
    if service_type == ServiceType::ExternalName || texts == ["None"] {
        return Ok(Vec::new());
    }
    if texts.is_empty() {
        return Err(FieldProblem::Unassigned("an address, or None").at(path(0)));
    }
    let parse = |(i, text): (usize, &&str)| field::address(text, || path(i));
    let ips: Vec<IpAddr> = texts.iter().enumerate().map(parse).collect::<Result<_, _>>()?;
    field::one_per_family(&ips, path)?;
    check_families(spec, &ips, path)?;
    Ok(ips)
}

/// Where `ipFamilies` is given, the addresses stand in its order.
fn check_families(spec: &ServiceSpec, ips: &[IpAddr], path: impl Fn(usize) -> String) -> Result<(), FieldError> {
    for (i, (family, addr)) in spec.ip_families.iter().flatten().zip(ips).enumerate() {
        if addr.is_ipv4() != (family == "IPv4") {
            return Err(FieldProblem::WrongFamily { addr: *addr, expected: family.clone() }.at(path(i)));
        }
    }
    Ok(())
}

fn external_ips(spec: &ServiceSpec) -> Result<Vec<IpAddr>, FieldError> {
    let texts = spec.external_ips.iter().flatten().enumerate().map(|(i, text)| (i, text.trim()));
    let given = texts.filter(|(_, text)| !text.is_empty());
    given.map(|(i, text)| field::address(text, || format!("spec.externalIPs[{i}]"))).collect()
}

/// Addresses that reach the node unchanged; those the load balancer terminates itself (`ipMode: Proxy`), and names, are
/// none of ours.
fn load_balancer_ips(status: ServiceStatus) -> Result<Vec<IpAddr>, FieldError> {
    let ingress = status.load_balancer.and_then(|it| it.ingress).unwrap_or_default();
    let path = |i, field| format!("status.loadBalancer.ingress[{i}].{field}");
    let mut ips = Vec::new();
    for (i, entry) in ingress.iter().enumerate() {
        let is_vip = field::choice(
            entry.ip_mode.as_deref(),
            true,
            "VIP, Proxy",
            || path(i, "ipMode"),
            |word| match word {
                "VIP" => Some(true),
                "Proxy" => Some(false),
                _ => None,
            },
        )?;
        if let Some(ip) = entry.ip.as_deref().filter(|ip| is_vip && !ip.is_empty()) {
            ips.push(field::address(ip, || path(i, "ip"))?);
        }
    }
    Ok(ips)
}

fn ports(ports: &[ApiPort], service_type: ServiceType) -> Result<Vec<Port>, FieldError> {
    let mut converted: Vec<Port> = Vec::new();
    for (i, it) in ports.iter().enumerate() {
        let path = |field: &str| format!("spec.ports[{i}].{field}");
        let port = port(it, service_type, path)?;
        if port.name.is_empty() && ports.len() > 1 {
            return Err(FieldProblem::Missing.at(path("name")));
        }
        for other in &converted {
            let same_protocol = other.protocol == port.protocol;
            if other.name == port.name {
                return Err(FieldProblem::Twice(format!("\"{}\"", port.name)).at(path("name")));
            }
            if same_protocol && other.port == port.port {
                return Err(FieldProblem::Twice(format!("{}/{}", port.port, port.protocol)).at(path("port")));
            }
            if let (true, Some(node_port)) = (same_protocol && other.node_port == port.node_port, port.node_port) {
                return Err(FieldProblem::Twice(format!("{node_port}/{}", port.protocol)).at(path("nodePort")));
            }
        }
        converted.push(port);
    }
    Ok(converted)
}

fn port(it: &ApiPort, service_type: ServiceType, path: impl Fn(&str) -> String) -> Result<Port, FieldError> {
    let name = it.name.clone().unwrap_or_default();
    if !name.is_empty() {
        field::label(&name, || path("name"))?;
    }
    let number = field::port(it.port, || path("port"))?;
    let target_port = match &it.target_port {
        None | Some(IntOrString::Int(0)) => TargetPort::Number(number),
        Some(IntOrString::Int(target)) => TargetPort::Number(field::port(*target, || path("targetPort"))?),
        Some(IntOrString::String(name)) if name.is_empty() => TargetPort::Number(number),
        Some(IntOrString::String(name)) => TargetPort::Name(name.clone()),
    };
    let node_port = it.node_port.filter(|port| *port != 0);
    if node_port.is_none() && service_type == ServiceType::NodePort {
        return Err(FieldProblem::Unassigned("a port number").at(path("nodePort")));
    }
    Ok(Port {
        name,
        protocol: field::protocol(it.protocol.as_deref(), || path("protocol"))?,
        port: number,
        target_port,
        node_port: node_port.map(|port| field::port(port, || path("nodePort"))).transpose()?,
    })
}
