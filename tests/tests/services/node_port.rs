//! NodePort: which client address an endpoint sees, and where an address answers at all.

use std::collections::BTreeSet;
use std::net::{TcpListener, UdpSocket};
use std::time::Duration;

use anyhow::Result;
use lab::Family;
use lab::traffic::Ask;

use crate::client;
use crate::configuration::{by_programs, everywhere};
use crate::protocol::{Protocol, pods};

/// As for ClusterIP.
const MANY: u32 = 32;
/// How long a client waits for an answer that must not come.
const SILENCE: Duration = Duration::from_millis(300);

/// Rules don't: with the policy Cluster they masquerade whoever comes from outside.
#[test]
fn client_outside_is_kept_where_the_endpoint_is_local_and_masqueraded_where_it_is_not() -> Result<()> {
    by_programs(|cluster| {
        let client = client::outside(cluster);
        for (protocol, family) in Protocol::with_families() {
            for node in cluster.lab().nodes() {
                let to = cluster.node_port(node.name(), "web", family)?;
                let answers = protocol.answers(client.host, &Ask::new(to).times(MANY))?;
                assert_eq!(pods(&answers), BTreeSet::from(["web-1", "web-2"]), "{to} {protocol:?}");
                for answer in answers {
                    let local = cluster.pod(&answer.pod)?.node() == node.name();
                    let kept = if local { cluster.lab().client_addresses() } else { node.addresses() };
                    assert_eq!(answer.client.ip(), kept.of(family), "{to} {protocol:?} {answer:?}");
                    assert_eq!(answer.peername, to);
                }
            }
        }
        Ok(())
    })
}

#[test]
fn local_policy_keeps_the_client_and_is_silent_on_nodes_without_an_endpoint() -> Result<()> {
    everywhere(|cluster| {
        let client = client::outside(cluster);
        for (protocol, family) in Protocol::with_families() {
            let to = cluster.node_port("node1", "only-node1", family)?;
            for answer in protocol.answers(client.host, &Ask::new(to).times(4))? {
                assert!(client.owns(answer.client.ip()), "{protocol:?} {answer:?}");
            }
            let elsewhere = Ask::new(cluster.node_port("node2", "only-node1", family)?).timeout(SILENCE);
            assert_eq!(protocol.error(client.host, &elsewhere)?, "timeout", "{family} {protocol:?}");
        }
        Ok(())
    })
}

#[test]
fn pods_and_nodes_reach_node_ports_of_either_node() -> Result<()> {
    everywhere(|cluster| {
        for (protocol, family) in Protocol::with_families() {
            for client in client::inside(cluster)? {
                for node in ["node1", "node2"] {
                    let to = cluster.node_port(node, "web", family)?;
                    let answers = protocol.answers(client.host, &Ask::new(to).times(MANY))?;
                    assert_eq!(pods(&answers), BTreeSet::from(["web-1", "web-2"]), "{} {to}", client.host);
                    assert!(answers.iter().all(|answer| answer.peername == to), "{} {answers:?}", client.host);
                }
            }
        }
        Ok(())
    })
}

#[test]
fn local_policy_does_not_concern_clients_on_the_node_itself() -> Result<()> {
    everywhere(|cluster| {
        for (protocol, family) in Protocol::with_families() {
            for client in client::inside(cluster)?.iter().filter(|client| client.node == Some(2)) {
                let to = cluster.node_port("node2", "only-node1", family)?;
                let answers = protocol.answers(client.host, &Ask::new(to).times(4))?;
                assert_eq!(pods(&answers), BTreeSet::from(["web-1"]), "{}", client.host);
            }
        }
        Ok(())
    })
}

#[test]
fn pod_reaches_itself_through_node_ports() -> Result<()> {
    everywhere(|cluster| {
        for (protocol, family) in Protocol::with_families() {
            for (pod, own_node, own_service) in [("web-1", "node1", "only-node1"), ("web-2", "node2", "only-node2")] {
                let pod = cluster.pod(pod)?;
                let to = cluster.node_port(own_node, own_service, family)?;
                let answers = protocol.answers(pod, &Ask::new(to).times(4).send(1000))?;
                assert!(answers.iter().all(|answer| answer.pod == pod.name() && answer.peername == to), "{answers:?}");
                // The other node sends some of these back to where they are from.
                for node in ["node1", "node2"] {
                    let to = cluster.node_port(node, "web", family)?;
                    let answers = protocol.answers(pod, &Ask::new(to).times(MANY).send(1000))?;
                    assert_eq!(pods(&answers), BTreeSet::from(["web-1", "web-2"]), "{pod:?} {to}");
                    assert!(answers.iter().all(|answer| answer.peername == to), "{answers:?}");
                }
            }
        }
        Ok(())
    })
}

#[test]
fn connection_keeps_its_endpoint() -> Result<()> {
    everywhere(|cluster| {
        for (protocol, family) in Protocol::with_families() {
            for node in ["node1", "node2"] {
                let ask = Ask::new(cluster.node_port(node, "web", family)?).times(MANY).one_socket();
                for client in client::everybody(cluster)? {
                    let answers = protocol.answers(client.host, &ask)?;
                    assert_eq!(pods(&answers).len(), 1, "{} {node} {protocol:?}", client.host);
                }
            }
        }
        Ok(())
    })
}

#[test]
fn s2_9_no_socket_is_held_for_a_node_port() -> Result<()> {
    everywhere(|cluster| {
        let node = cluster.lab().node("node1")?;
        for family in Family::BOTH {
            let to = cluster.node_port("node1", "web", family)?;
            // Nobody has the port, and who takes it changes nothing for those outside.
            let (tcp, udp) = node.inside(|| (TcpListener::bind(to), UdpSocket::bind(to)))?;
            let _taken = (tcp?, udp?);
            for protocol in [Protocol::Tcp, Protocol::Udp] {
                protocol.answers(cluster.lab().client(), &Ask::new(to).times(4))?;
            }
        }
        Ok(())
    })
}
