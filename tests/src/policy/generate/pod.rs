//! Pods.

use std::net::IpAddr;

use k8s_openapi::api::core::v1::Pod;
use serde_json::{Value, json};

use super::{Generator, NAMESPACES, object};
use crate::policy::case::Objects;
use crate::policy::reference::pod_of;
use crate::topology;

/// Names of ports, and what they stand for here and there.
pub(super) const NAMED: [(&str, &str, &[u16]); 5] = [
    ("http", "TCP", &[80, 8080, 8081]),
    ("dns", "UDP", &[53, 5353]),
    ("dns", "TCP", &[53, 5353]),
    ("metrics", "TCP", &[9090, 8080]),
    ("signals", "SCTP", &[7000, 80]),
];

impl Generator {
    /// A Pod on one of the nodes. Nobody who lives on has an address of it.
    pub(super) fn pod(&mut self, objects: &Objects) -> Pod {
        let number = self.rng.u8(1..=objects.nodes.len().max(1) as u8);
        let is_host = self.chance(8);
        let mut ips = self.pod_addresses(objects, number);
        if is_host {
            ips = topology::node(number).iter().collect();
        }
        let mut pod = json!({
            "metadata": {
                "name": self.pod_name(objects),
                "namespace": self.one_of(&NAMESPACES),
                "labels": self.pod_labels(),
            },
            "spec": {"nodeName": format!("node{number}"), "hostNetwork": is_host.then_some(true)},
            "status": {"phase": "Running"},
        });
        self.containers(&mut pod["spec"]);
        // Of two that have been told to go, neither has a better claim on an address that both have.
        let is_shared = ips.iter().any(|ip| pod_of(objects, *ip).is_some());
        self.age(&mut pod, is_shared);
        if !self.chance(4) {
            pod["status"]["podIP"] = json!(ips.first());
            pod["status"]["podIPs"] = ips.iter().map(|ip| json!({"ip": ip})).collect();
        }
        object(pod)
    }

    /// How far a pod's life has come.
    fn age(&mut self, pod: &mut Value, is_shared: bool) {
        match self.rng.u32(0..100) {
            0..8 => pod["status"]["phase"] = self.one_of(&["Succeeded", "Failed"]).into(),
            8..16 if !is_shared => pod["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into(),
            16..22 => pod["status"]["phase"] = "Pending".into(),
            _ => {}
        }
    }

    fn pod_name(&mut self, objects: &Objects) -> String {
        let is_taken = |name: &str| objects.pods.iter().any(|pod| pod.metadata.name.as_deref() == Some(name));
        loop {
            let name = format!("pod-{}", self.rng.u32(0..100));
            if !is_taken(&name) {
                return name;
            }
        }
    }

    /// Addresses of one family or both, free or of a pod that terminates or is finished: a few, so that they come again.
    fn pod_addresses(&mut self, objects: &Objects, node: u8) -> Vec<IpAddr> {
        loop {
            let addresses = topology::pod(node, self.rng.u8(2..=14));
            let families = self.one_of(&["both", "both", "IPv4", "IPv6"]);
            let has = |ip: &IpAddr| families == "both" || (families == "IPv4") == ip.is_ipv4();
            let is_free = |ip: IpAddr| pod_of(objects, ip).is_none_or(|pod| pod.metadata.deletion_timestamp.is_some());
            if addresses.iter().all(is_free) {
                return addresses.iter().filter(has).collect();
            }
        }
    }

    /// One or two containers, and sometimes others before them or beside them, with named ports.
    fn containers(&mut self, spec: &mut Value) {
        let mut names = Vec::new();
        let mut container = |make: &mut Self, name: &str| {
            let ports = make.list(0..=3, |make| {
                let (name, protocol, numbers) = make.one_of(&NAMED);
                let protocol = if protocol == "TCP" && make.chance(50) { None } else { Some(protocol) };
                (name, protocol, make.one_of(numbers))
            });
            let mut list = Vec::new();
            for (name, protocol, number) in ports {
                // A pod's ports of one name differ by protocol: which one counts is nowhere said.
                let key = (name, protocol.unwrap_or("TCP"));
                let is_named = !names.contains(&key) && make.chance(90);
                names.extend(is_named.then_some(key));
                let name = is_named.then_some(name);
                list.push(json!({"name": name, "containerPort": number, "protocol": protocol}));
            }
            json!({"name": name, "ports": list})
        };
        spec["containers"] = vec![container(self, "main")].into();
        if self.chance(20) {
            let second = container(self, "second");
            spec["containers"].as_array_mut().into_iter().for_each(|list| list.push(second.clone()));
        }
        if self.chance(10) {
            let mut init = container(self, "first");
            init["restartPolicy"] = if self.chance(50) { "Always".into() } else { Value::Null };
            spec["initContainers"] = vec![init].into();
        }
    }
}
