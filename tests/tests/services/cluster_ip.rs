//! ClusterIP: who answers, and what both ends see of each other.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use anyhow::Result;
use lab::Family;
use lab::traffic::Ask;

use crate::client;
use crate::configuration::everywhere;
use crate::protocol::{Protocol, pods};

/// Requests of which each goes to one of two endpoints: one endpoint gets none of them once in 2^31 runs.
const MANY: u32 = 32;

#[test]
fn every_ready_endpoint_answers_and_both_ends_see_each_other() -> Result<()> {
    everywhere(|cluster| {
        for (protocol, family) in Protocol::with_families() {
            let to = cluster.cluster_ip("web", family)?;
            for client in client::inside(cluster)? {
                let answers = protocol.answers(client.host, &Ask::new(to).times(MANY))?;
                assert_eq!(pods(&answers), BTreeSet::from(["web-1", "web-2"]), "{} {to} {protocol:?}", client.host);
                for answer in answers {
                    let seen = format!("{} {protocol:?}: {answer:?}", client.host);
                    assert!(client.owns(answer.client.ip()), "the endpoint sees the client: {seen}");
                    assert_eq!(answer.peername, to, "the client sees the Service: {seen}");
                    let endpoint = SocketAddr::new(cluster.pod(&answer.pod)?.addresses().of(family), 8080);
                    assert_eq!(answer.local.unwrap_or(endpoint), endpoint, "{seen}");
                }
            }
        }
        Ok(())
    })
}

#[test]
fn unconnected_datagrams_are_answered_by_the_service() -> Result<()> {
    everywhere(|cluster| {
        for family in Family::BOTH {
            let to = cluster.cluster_ip("web", family)?;
            for client in client::inside(cluster)? {
                let answers = Protocol::Udp.answers(client.host, &Ask::new(to).times(8).unconnected())?;
                assert!(answers.iter().all(|answer| answer.peername == to), "{} {answers:?}", client.host);
            }
        }
        Ok(())
    })
}

#[test]
fn socket_keeps_its_endpoint() -> Result<()> {
    everywhere(|cluster| {
        for family in Family::BOTH {
            let ask = Ask::new(cluster.cluster_ip("web", family)?).times(MANY).one_socket();
            for client in client::inside(cluster)? {
                for (protocol, ask) in [
                    (Protocol::Tcp, ask.clone()),
                    (Protocol::Udp, ask.clone()),
                    (Protocol::Udp, ask.clone().unconnected()),
                ] {
                    let answers = protocol.answers(client.host, &ask)?;
                    assert_eq!(pods(&answers).len(), 1, "{} {ask:?}", client.host);
                }
            }
        }
        Ok(())
    })
}

#[test]
fn ipv6_sockets_reach_services_by_mapped_addresses() -> Result<()> {
    everywhere(|cluster| {
        let to = cluster.cluster_ip("web", Family::V4)?;
        let ask = Ask::new(to).times(8).mapped();
        for client in client::inside(cluster)? {
            for (protocol, ask) in
                [(Protocol::Tcp, &ask), (Protocol::Udp, &ask), (Protocol::Udp, &ask.clone().unconnected())]
            {
                for answer in protocol.answers(client.host, ask)? {
                    assert!(client.owns(answer.client.ip()), "{} {answer:?}", client.host);
                    assert_eq!(answer.peername, to, "{} {ask:?}", client.host);
                }
            }
        }
        Ok(())
    })
}

#[test]
fn pod_reaches_itself_through_its_own_service() -> Result<()> {
    everywhere(|cluster| {
        for (protocol, family) in Protocol::with_families() {
            for (pod, service) in [("web-1", "only-node1"), ("web-2", "only-node2")] {
                let to = cluster.cluster_ip(service, family)?;
                let answers = protocol.answers(cluster.pod(pod)?, &Ask::new(to).times(4).send(1000))?;
                assert!(answers.iter().all(|answer| answer.pod == pod && answer.peername == to), "{answers:?}");
            }
        }
        Ok(())
    })
}
