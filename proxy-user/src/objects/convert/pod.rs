//! Pods.

use std::net::IpAddr;

use k8s_openapi::api::core::v1::{Container, Pod as ApiPod, PodSpec, PodStatus};

use super::field::{self, FieldError};
use super::meta;
use crate::model::{ContainerPort, Pod};

impl TryFrom<ApiPod> for Pod {
    type Error = FieldError;

    fn try_from(object: ApiPod) -> Result<Self, FieldError> {
        let spec = object.spec.unwrap_or_default();
        let status = object.status.unwrap_or_default();
        Ok(Self {
            namespace: meta::namespace(&object.metadata)?,
            name: meta::name(&object.metadata)?,
            ips: addresses(&spec, &status)?,
            ports: ports(&spec)?,
            ready: is_ready(&status),
            terminating: object.metadata.deletion_timestamp.is_some(),
            finished: matches!(status.phase.as_deref(), Some("Succeeded" | "Failed")),
            host_network: spec.host_network == Some(true),
            labels: object.metadata.labels.unwrap_or_default().into(),
            node_name: spec.node_name.filter(|name| !name.is_empty()),
        })
    }
}

/// `podIPs`, else `podIP`; a Pod on its host's network has its host's addresses, also before its status says so.
fn addresses(spec: &PodSpec, status: &PodStatus) -> Result<Vec<IpAddr>, FieldError> {
    let texts = |list: Vec<&str>, single: Option<&String>, name: &'static str| -> Vec<(String, String)> {
        let listed = list.iter().enumerate().map(|(i, ip)| (format!("status.{name}s[{i}]"), (*ip).to_owned()));
        let listed: Vec<_> = listed.filter(|(_, ip)| !ip.is_empty()).collect();
        let single = single.filter(|ip| !ip.is_empty()).map(|ip| (format!("status.{name}"), ip.clone()));
        if listed.is_empty() { single.into_iter().collect() } else { listed }
    };
    let pod_ips = status.pod_ips.iter().flatten().map(|it| it.ip.as_str()).collect();
    let mut found = texts(pod_ips, status.pod_ip.as_ref(), "podIP");
    if found.is_empty() && spec.host_network == Some(true) {
        let host_ips = status.host_ips.iter().flatten().map(|it| it.ip.as_str()).collect();
        found = texts(host_ips, status.host_ip.as_ref(), "hostIP");
    }
    let ips: Vec<IpAddr> =
        found.iter().map(|(path, ip)| field::address(ip, || path.clone())).collect::<Result<_, _>>()?;
    field::one_per_family(&ips, |i| found[i].0.clone())?;
    Ok(ips)
}

/// Ports of the containers, then of the init containers that keep running.
fn ports(spec: &PodSpec) -> Result<Vec<ContainerPort>, FieldError> {
    let sidecars = spec.init_containers.iter().flatten().enumerate();
    let sidecars = sidecars.filter(|(_, container)| container.restart_policy.as_deref() == Some("Always"));
    let containers = spec.containers.iter().enumerate().map(|(i, container)| ("containers", i, container));
    let mut ports = Vec::new();
    for (list, i, container) in containers.chain(sidecars.map(|(i, container)| ("initContainers", i, container))) {
        container_ports(container, &format!("spec.{list}[{i}]"), &mut ports)?;
    }
    Ok(ports)
}

fn container_ports(container: &Container, path: &str, ports: &mut Vec<ContainerPort>) -> Result<(), FieldError> {
    for (i, port) in container.ports.iter().flatten().enumerate() {
        let number = field::port(port.container_port, || format!("{path}.ports[{i}].containerPort"))?;
        let protocol = field::protocol(port.protocol.as_deref(), || format!("{path}.ports[{i}].protocol"))?;
        ports.push(ContainerPort { name: port.name.clone().unwrap_or_default(), protocol, port: number });
    }
    Ok(())
}

fn is_ready(status: &PodStatus) -> bool {
    status.conditions.iter().flatten().any(|condition| condition.type_ == "Ready" && condition.status == "True")
}
