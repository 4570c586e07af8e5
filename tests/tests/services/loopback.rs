//! Node ports on the node's loopback addresses.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
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

fn loopbacks(family: Family) -> Vec<IpAddr> {
    match family {
        Family::V4 => vec![Ipv4Addr::LOCALHOST.into(), Ipv4Addr::new(127, 1, 2, 3).into()],
        Family::V6 => vec![Ipv6Addr::LOCALHOST.into()],
    }
}

/// Rules don't: no setting of the kernel lets `::1` leave the loopback interface.
#[test]
fn node_reaches_every_endpoint_by_its_loopback_addresses() -> Result<()> {
    by_programs(|cluster| {
        for (protocol, family) in Protocol::with_families() {
            for node in cluster.lab().nodes() {
                let port = cluster.node_port(node.name(), "web", family)?.port();
                for loopback in loopbacks(family) {
                    let to = SocketAddr::new(loopback, port);
                    let answers = protocol.answers(node, &Ask::new(to).times(MANY).send(1000))?;
                    assert_eq!(pods(&answers), BTreeSet::from(["web-1", "web-2"]), "{to} {protocol:?}");
                    for answer in answers {
                        assert_eq!(answer.peername, to);
                        assert!(!answer.client.ip().is_loopback(), "{to} {protocol:?} {answer:?}");
                    }
                }
            }
        }
        Ok(())
    })
}

/// Rules don't: no setting of the kernel lets `::1` leave the loopback interface.
#[test]
fn a_client_bound_to_loopback_is_served() -> Result<()> {
    by_programs(|cluster| {
        for (protocol, family) in Protocol::with_families() {
            let node = cluster.lab().node("node1")?;
            let port = cluster.node_port("node1", "web", family)?.port();
            let own = loopbacks(family)[0];
            let ask = Ask::new(SocketAddr::new(own, port)).from(SocketAddr::new(own, 0)).times(MANY);
            let answers = protocol.answers(node, &ask)?;
            assert_eq!(pods(&answers), BTreeSet::from(["web-1", "web-2"]), "{family} {protocol:?}");
        }
        Ok(())
    })
}

#[test]
fn a_pods_loopback_addresses_are_its_own() -> Result<()> {
    everywhere(|cluster| {
        for (protocol, family) in Protocol::with_families() {
            let port = cluster.node_port("node1", "web", family)?.port();
            for client in client::pods(cluster)? {
                let ask = Ask::new(SocketAddr::new(loopbacks(family)[0], port)).timeout(SILENCE);
                assert_eq!(protocol.error(client.host, &ask)?, "ECONNREFUSED", "{} {protocol:?}", client.host);
            }
        }
        Ok(())
    })
}
