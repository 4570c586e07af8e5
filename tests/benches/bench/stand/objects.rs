//! Nodes, and Services with their slices: those that are asked, and those that are only there.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use lab::{Family, topology};
use serde_json::{Value, json};

/// Port of Services, TCP and UDP.
const PORT: u16 = 80;
/// Port of the servers, TCP and UDP.
pub(crate) const TARGET_PORT: u16 = 9_000;
/// Namespace of the Services that are only there, and of those that are asked: last by name, too.
const FILLERS: &str = "bench";
const ASKED: &str = "zz-bench";

/// A Service that is asked: it has one endpoint.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Asked {
    name: &'static str,
    cluster_ip: Ipv4Addr,
    node_port: u16,
    /// Node and last number of its endpoint's address.
    endpoint: (u8, u8),
}

/// Its endpoint is on `node1`, where its clients in the cluster are and where clients from outside send to.
pub(crate) const LOCAL: Asked = asked("zz-local", 1, 30_001, (1, 3));
/// Its endpoint is on `node2`.
pub(crate) const REMOTE: Asked = asked("zz-remote", 2, 30_002, (2, 3));
/// There after the others of its file, to be waited for.
const PROBE: Asked = asked("zz-probe", 3, 30_003, (1, 3));

const fn asked(name: &'static str, number: u8, node_port: u16, endpoint: (u8, u8)) -> Asked {
    Asked { name, cluster_ip: Ipv4Addr::new(10, 96, 255, number), node_port, endpoint }
}

impl Asked {
    /// Its cluster address and port.
    pub(crate) fn cluster_ip(self) -> SocketAddr {
        (self.cluster_ip, PORT).into()
    }

    /// Its port of a node.
    pub(crate) fn node_port(self, node: u8) -> SocketAddr {
        SocketAddr::new(topology::node(node).of(Family::V4), self.node_port)
    }

    /// Its endpoint's own address and port.
    pub(crate) fn endpoint(self) -> SocketAddr {
        let (node, index) = self.endpoint;
        SocketAddr::new(topology::pod(node, index).of(Family::V4), TARGET_PORT)
    }

    fn objects(self) -> [Value; 2] {
        let mut service = service(ASKED, self.name, self.cluster_ip);
        service["spec"]["type"] = "NodePort".into();
        for port in 0..2 {
            service["spec"]["ports"][port]["nodePort"] = self.node_port.into();
        }
        [service, slice(ASKED, self.name, self.endpoint().ip(), &format!("node{}", self.endpoint.0))]
    }
}

/// The Services that are asked.
pub(crate) fn measured() -> Vec<Value> {
    [LOCAL, REMOTE].into_iter().flat_map(Asked::objects).collect()
}

/// Says when the objects before it are there.
pub(crate) fn probe() -> (SocketAddr, Vec<Value>) {
    (PROBE.cluster_ip(), PROBE.objects().into())
}

/// Services from one number to before another, which nobody asks; their endpoints are nowhere.
pub(crate) fn fillers(from: u32, to: u32) -> Vec<Value> {
    let at = |base: Ipv4Addr, number: u32| Ipv4Addr::from_bits(base.to_bits() + number);
    let objects = |number: u32| {
        let name = format!("service-{number:05}");
        let endpoint = at(Ipv4Addr::new(10, 200, 0, 1), number);
        // The first addresses are the API server's.
        let cluster_ip = at(Ipv4Addr::new(10, 96, 1, 0), number);
        [service(FILLERS, &name, cluster_ip), slice(FILLERS, &name, endpoint.into(), "node2")]
    };
    (from..to).flat_map(objects).collect()
}

/// What comes first: namespaces, and nodes with the pods' ranges.
pub(crate) fn cluster() -> Vec<Value> {
    let namespace = |name: &str| json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
    let node = |number: u8| {
        let name = format!("node{number}");
        let ranges = [format!("10.244.{number}.0/24"), format!("fd00:10:244:{number}::/64")];
        json!({
            "apiVersion": "v1", "kind": "Node",
            "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name}},
            "spec": {"podCIDR": ranges[0], "podCIDRs": ranges},
            "status": {"addresses": [{"type": "InternalIP", "address": topology::node(number).of(Family::V4)}]},
        })
    };
    vec![namespace(FILLERS), namespace(ASKED), node(1), node(2)]
}

fn service(namespace: &str, name: &str, cluster_ip: Ipv4Addr) -> Value {
    let port = |name: &str, protocol: &str| json!({"name": name, "port": PORT, "protocol": protocol, "targetPort": TARGET_PORT});
    let ports =
        if namespace == ASKED { vec![port("tcp", "TCP"), port("udp", "UDP")] } else { vec![port("tcp", "TCP")] };
    json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "type": "ClusterIP", "clusterIP": cluster_ip, "clusterIPs": [cluster_ip],
            "ipFamilies": ["IPv4"], "ipFamilyPolicy": "SingleStack", "ports": ports,
        },
    })
}

fn slice(namespace: &str, service: &str, endpoint: IpAddr, node: &str) -> Value {
    let port = |name: &str, protocol: &str| json!({"name": name, "port": TARGET_PORT, "protocol": protocol});
    let labels = json!({"kubernetes.io/service-name": service});
    json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": {"name": format!("{service}-1"), "namespace": namespace, "labels": labels},
        "addressType": "IPv4",
        "endpoints": [{
            "addresses": [endpoint], "nodeName": node,
            "conditions": {"ready": true, "serving": true, "terminating": false},
        }],
        "ports": [port("tcp", "TCP"), port("udp", "UDP")],
    })
}
