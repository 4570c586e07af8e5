//! The ports of the node's own connections.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Result;
use lab::traffic::Ask;
use lab::{Family, SocketLb};

use crate::cluster;

/// Source port of the outside client, which is kept when it is passed on, and of the node.
const PORT: u16 = 45_000;

/// A client outside is passed on by node1; then node1 itself connects from the port that was used for it.
#[test]
fn node_connects_from_a_port_that_it_passed_a_client_on_under() -> Result<()> {
    for socket_lb in SocketLb::BOTH {
        let cluster = cluster(socket_lb)?;
        let node = cluster.lab().node("node1")?;
        for family in Family::BOTH {
            let outside = SocketAddr::new(cluster.lab().client_addresses().of(family), PORT);
            let passed_on = Ask::new(cluster.node_port("node1", "web", family)?).from(outside);
            let seen = cluster.lab().client().http(&passed_on)?.client;
            assert_eq!(seen.ip(), node.addresses().of(family));

            let pod = SocketAddr::new(cluster.pod("web")?.addresses().of(family), 8080);
            for to in [pod, cluster.cluster_ip("web", family)?] {
                let ask = Ask::new(to).from(seen).timeout(Duration::from_secs(1));
                let answer = node.http(&ask);
                assert!(answer.is_ok(), "{socket_lb}: {to} from {seen}: {}", answer.unwrap_err());
            }
        }
    }
    Ok(())
}
