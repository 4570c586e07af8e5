//! ICMP errors about translated packets reach the client's socket.

use anyhow::Result;
use lab::traffic::Ask;
use lab::{Family, Host};

use crate::client;
use crate::configuration::everywhere;
use crate::protocol::Protocol;

/// "Port unreachable", and for TCP the reset.
#[test]
fn closed_port_of_an_endpoint_refuses_the_client_of_the_service() -> Result<()> {
    everywhere(|cluster| {
        for (protocol, family) in Protocol::with_families() {
            for client in client::everybody(cluster)? {
                for to in client::all_ways(cluster, &client, "closed", family)? {
                    let error = protocol.error(client.host, &Ask::new(to))?;
                    assert_eq!(error, "ECONNREFUSED", "{} {to} {protocol:?}", client.host);
                }
            }
        }
        Ok(())
    })
}

/// The endpoint's node answers for a pod that has gone; a connection that is being made ends by that.
#[test]
fn endpoint_that_is_gone_is_unreachable_for_the_client_of_the_service() -> Result<()> {
    everywhere(|cluster| {
        let node = cluster.lab().node("node2")?;
        for address in cluster.pod("web-2")?.addresses().iter() {
            node.run(&[
                "ip",
                "route",
                "replace",
                "unreachable",
                &format!("{address}/{}", length(Family::of(address))),
            ])?;
        }
        for (family, expected) in [(Family::V4, "EHOSTUNREACH"), (Family::V6, "ENETUNREACH")] {
            let service = cluster.cluster_ip("only-node2", family)?;
            let node_port = cluster.node_port("node1", "only-node2", family)?;
            let clients: [(&Host, _); 4] = [
                (cluster.pod("client-1")?, service),
                (cluster.lab().node("node1")?, service),
                (cluster.pod("client-1")?, node_port),
                (cluster.lab().client(), node_port),
            ];
            for (client, to) in clients {
                assert_eq!(Protocol::Tcp.error(client, &Ask::new(to))?, expected, "{client} {to}");
            }
        }
        Ok(())
    })
}

/// Bits of an address.
const fn length(family: Family) -> u8 {
    match family {
        Family::V4 => 32,
        Family::V6 => 128,
    }
}
