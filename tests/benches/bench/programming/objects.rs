//! A cluster's Services and their slices, and the one whose endpoint comes and goes.

use std::net::Ipv4Addr;

use lab::figures::Size;
use lab::{Family, topology};
use serde_json::{Value, json};

/// Namespace of them all.
const NAMESPACE: &str = "default";
/// Port of the Services, and of the servers.
pub(crate) const PORT: u16 = 80;
pub(crate) const TARGET_PORT: u16 = 8_080;
/// Last number of the address of the endpoint that comes and goes, on `node1`.
pub(crate) const SERVER: u8 = 3;
/// The Service it is of, beside all others.
const CHANGED: &str = "changed";
const CHANGED_IP: Ipv4Addr = Ipv4Addr::new(172, 31, 255, 1);

/// So many Services of so many endpoints, of which one in ten is on this node.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Objects {
    services: u32,
    endpoints: u32,
}

impl Objects {
    pub(crate) const fn new(services: u32, endpoints: u32) -> Self {
        Self { services, endpoints }
    }

    pub(crate) const fn size(self) -> Size {
        Size::Cluster { services: self.services, endpoints: self.endpoints }
    }

    /// All of them, the namespace first, the Service that changes last.
    pub(crate) fn all(self) -> impl Iterator<Item = Value> {
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}});
        let others = (0..self.services).flat_map(move |number| {
            let name = format!("service-{number:05}");
            let ip = Ipv4Addr::from_bits(Ipv4Addr::new(172, 16, 0, 1).to_bits() + number);
            let endpoints: Vec<_> = (0..self.endpoints).map(|endpoint| self.endpoint(number, endpoint)).collect();
            [service(&name, ip), slice(&name, &endpoints)]
        });
        [namespace].into_iter().chain(others).chain([service(CHANGED, CHANGED_IP), self.changed(true)])
    }

    /// The slice of the Service that changes: as many endpoints as others have, of which only one ever serves.
    pub(crate) fn changed(self, is_ready: bool) -> Value {
        let server = topology::pod(1, SERVER).of(Family::V4);
        let others = (1..self.endpoints).map(|index| {
            endpoint(&Ipv4Addr::from_bits(Ipv4Addr::new(10, 99, 0, 0).to_bits() + index).to_string(), "node2", false)
        });
        let endpoints: Vec<_> = [endpoint(&server.to_string(), "node1", is_ready)].into_iter().chain(others).collect();
        slice(CHANGED, &endpoints)
    }

    fn endpoint(self, service: u32, number: u32) -> Value {
        let ip = Ipv4Addr::from_bits(Ipv4Addr::new(10, 0, 0, 1).to_bits() + service * self.endpoints + number);
        endpoint(&ip.to_string(), if number.is_multiple_of(10) { "node1" } else { "node2" }, true)
    }
}

/// Address and port of the Service that changes.
pub(crate) fn changed_at() -> (Ipv4Addr, u16) {
    (CHANGED_IP, PORT)
}

fn service(name: &str, ip: Ipv4Addr) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {
            "type": "ClusterIP", "clusterIP": ip, "clusterIPs": [ip], "selector": {"app": name},
            "ipFamilies": ["IPv4"], "ipFamilyPolicy": "SingleStack",
            "ports": [{"name": "http", "port": PORT, "protocol": "TCP", "targetPort": TARGET_PORT}],
        },
    })
}

fn slice(service: &str, endpoints: &[Value]) -> Value {
    json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
        "metadata": {
            "name": format!("{service}-abcde"), "namespace": NAMESPACE,
            "labels": {"kubernetes.io/service-name": service},
        },
        "ports": [{"name": "http", "port": TARGET_PORT, "protocol": "TCP"}],
        "endpoints": endpoints,
    })
}

fn endpoint(ip: &str, node: &str, is_ready: bool) -> Value {
    json!({
        "addresses": [ip], "nodeName": node,
        "conditions": {"ready": is_ready, "serving": is_ready, "terminating": false},
    })
}
