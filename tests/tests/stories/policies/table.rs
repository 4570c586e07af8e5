//! The table of sources, frontends and policies (3.22): which endpoints, and whose address they see. Where kube-proxy
//! masquerades and it can be helped, the client's own address is kept.

use std::net::{IpAddr, SocketAddr};

use anyhow::Result;
use lab::traffic::{Answer, Ask};
use lab::{Cluster, Family, Host, Lab, Node, topology};

use super::cluster::{Outcome, SERVERS, SERVICES, each, tell};

/// Who asks. The node that serves him is that of a pod, a node itself, and for a client outside the one he sends to.
#[derive(Clone, Copy, Debug)]
enum Source {
    Pod,
    Node,
    Outside,
}

/// What he sends to.
#[derive(Clone, Copy, Debug)]
enum Frontend {
    ClusterIp,
    NodePort,
    ExternalIp,
    LoadBalancer,
}

/// Which endpoints he reaches.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Set {
    All,
    OfTheNode,
}

use Frontend::{ClusterIp, ExternalIp, LoadBalancer, NodePort};
use Set::{All, OfTheNode};
use Source::{Outside, Pod};

/// By Service, in the order of [`SERVICES`]: both policies Cluster, `externalTrafficPolicy` Local, `internalTrafficPolicy`
/// Local.
const TABLE: [(Source, &[Frontend], [Set; 3]); 6] = [
    (Pod, &[ClusterIp], [All, All, OfTheNode]),
    (Source::Node, &[ClusterIp], [All, All, OfTheNode]),
    (Outside, &[ClusterIp], [All, All, OfTheNode]),
    (Pod, &[NodePort, ExternalIp, LoadBalancer], [All, All, All]),
    (Source::Node, &[NodePort, ExternalIp, LoadBalancer], [All, All, All]),
    (Outside, &[NodePort, ExternalIp, LoadBalancer], [All, OfTheNode, All]),
];

/// A node with an endpoint, and one without; the endpoints that each has.
const NODES: [(u8, &[&str]); 2] = [(1, &["web-1"]), (3, &[])];

#[test]
fn source_frontend_and_policy_decide_who_answers_and_whom_he_sees() -> Result<()> {
    tell(|cluster| {
        for (number, local) in NODES {
            let node = cluster.lab().node(&format!("node{number}"))?;
            route_outside_by(cluster.lab(), node)?;
            for (source, frontends, sets) in TABLE {
                let case = Case { cluster, node, source, host: source.host(cluster, number)? };
                for frontend in frontends {
                    for ((number, service), set) in (10..).zip(SERVICES).zip(sets) {
                        case.check(*frontend, service, number, if set == All { &SERVERS } else { local })?;
                    }
                }
            }
        }
        Ok(())
    })
}

#[test]
fn pod_of_another_node_is_external_to_a_node_port() -> Result<()> {
    tell(|cluster| {
        let (pod, servers) = (cluster.pod("asker-2")?, [("node1", "web-1"), ("node2", "web-2")]);
        each(|protocol, family| {
            for (node, server) in servers {
                let to = cluster.node_port(node, "external-local", family)?;
                let expected = if node == pod.node() { &SERVERS[..] } else { &[server] };
                assert_eq!(Outcome::of(pod, protocol, to)?, Outcome::answered_by(expected), "{to} {protocol:?}");
            }
            let to = cluster.node_port("node3", "external-local", family)?;
            assert_eq!(Outcome::of(pod, protocol, to)?, Outcome::Dropped, "{to} {protocol:?}");
            Ok(())
        })
    })
}

impl Source {
    fn host(self, cluster: &Cluster, node: u8) -> Result<&Host> {
        Ok(match self {
            Self::Pod => cluster.pod(&format!("asker-{node}"))?,
            Self::Node => cluster.lab().node(&format!("node{node}"))?,
            Self::Outside => cluster.lab().client(),
        })
    }
}

/// A source and the node that serves it.
struct Case<'a> {
    cluster: &'a Cluster,
    node: &'a Node,
    source: Source,
    host: &'a Host,
}

impl Case<'_> {
    fn check(&self, frontend: Frontend, service: &str, number: u8, servers: &[&str]) -> Result<()> {
        each(|protocol, family| {
            let to = self.address(frontend, service, number, family)?;
            let what =
                format!("{:?} {} to {frontend:?} of {service}, {protocol:?} {to}", self.source, self.node.name());
            let expected = if servers.is_empty() { Outcome::Dropped } else { Outcome::answered_by(servers) };
            assert_eq!(Outcome::of(self.host, protocol, to)?, expected, "{what}");
            if !servers.is_empty() {
                for answer in protocol.answers(self.host, &Ask::new(to).times(4))? {
                    let seen = self.seen(&answer, family)?;
                    assert!(seen.contains(&answer.client.ip()), "{what}: {answer:?} should see one of {seen:?}");
                    assert_eq!(answer.peername, to, "{what}");
                }
            }
            Ok(())
        })
    }

    fn address(&self, frontend: Frontend, service: &str, number: u8, family: Family) -> Result<SocketAddr> {
        Ok(match frontend {
            ClusterIp => self.cluster.cluster_ip(service, family)?,
            NodePort => self.cluster.node_port(self.node.name(), service, family)?,
            LoadBalancer => self.cluster.load_balancer(service, family)?,
            ExternalIp => match family {
                Family::V4 => format!("203.0.113.{number}:80").parse()?,
                Family::V6 => format!("[2001:db8:113::{number}]:80").parse()?,
            },
        })
    }

    /// The addresses that the server may see: a pod's and a node's own, and those of a client outside unless its server
    /// is on another node than the one it sent to.
    fn seen(&self, answer: &Answer, family: Family) -> Result<Vec<IpAddr>> {
        let number = self.node.number();
        let of_node = [self.node.addresses(), topology::pod(number, 1)].map(|addresses| addresses.of(family)).to_vec();
        let is_local = self.cluster.pod(&answer.pod)?.node() == self.node.name();
        Ok(match self.source {
            Pod => vec![topology::pod(number, 20).of(family)],
            Outside if is_local => vec![self.cluster.lab().client_addresses().of(family)],
            Source::Node | Outside => of_node,
        })
    }
}

/// The router sends what is for addresses of Services to this node, as a balancer would.
fn route_outside_by(lab: &Lab, node: &Node) -> Result<()> {
    let subnets = [
        (Family::V4, ["10.96.0.0/16", "203.0.113.0/24", "198.18.0.0/24"]),
        (Family::V6, ["fd00:10:96::/112", "2001:db8:113::/64", "2001:db8:198::/64"]),
    ];
    for (family, subnets) in subnets {
        for subnet in subnets {
            lab.wire().run(&["ip", "route", "replace", subnet, "via", &node.addresses().of(family).to_string()])?;
        }
    }
    Ok(())
}
