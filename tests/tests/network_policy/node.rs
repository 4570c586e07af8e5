//! A pod and its own node: nothing comes between them.

use std::net::{IpAddr, SocketAddr};

use anyhow::Result;
use lab::traffic::Reached::{Silence, Yes};
use lab::traffic::{Ask, Serve};
use lab::{Family, Host};

use crate::scene::{at, everywhere, tcp};

/// A port that nothing else of a node has.
const TCP: u16 = 20_080;

#[test]
fn node_reaches_its_pods_from_every_address_it_has_under_default_deny() -> Result<()> {
    everywhere(&["cluster.yaml", "default-deny.yaml"], |cluster| {
        for family in Family::BOTH {
            let node = cluster.lab().node("node1")?;
            let to = at(cluster, "nginx-1", family, 80)?;
            assert_eq!(tcp(cluster.pod("monitor")?, to)?, Silence, "the policy is in force");
            for address in own_addresses(node, family)? {
                let answer = node.http(&Ask::new(to).from(SocketAddr::new(address, 0)))?;
                assert_eq!(answer.client.ip(), address);
            }
        }
        Ok(())
    })
}

/// Global addresses of a node's interfaces.
fn own_addresses(node: &Host, family: Family) -> Result<Vec<IpAddr>> {
    let version = if family == Family::V4 { "-4" } else { "-6" };
    let text = node.run(&["ip", "-o", version, "addr", "show", "scope", "global"])?;
    let words = text.lines().filter_map(|line| line.split_whitespace().nth(3)?.split_once('/'));
    words.map(|(address, _)| Ok(address.parse()?)).collect()
}

#[test]
fn pod_reaches_its_own_node_and_no_other_under_default_deny() -> Result<()> {
    everywhere(&["cluster.yaml", "default-deny.yaml"], |cluster| {
        let serve = Serve { name: "node".into(), http: vec![TCP], ..Serve::default() };
        let nodes = [cluster.lab().node("node1")?, cluster.lab().node("node2")?];
        let _servers = [nodes[0].serve(&serve)?, nodes[1].serve(&serve)?];
        let pod = cluster.pod("nginx-1")?;
        for family in Family::BOTH {
            for (node, expected) in nodes.into_iter().zip([Yes, Silence]) {
                let address = node.addresses().of(family);
                assert_eq!(tcp(pod, SocketAddr::new(address, TCP))?, expected, "{} {family}", node.name());
            }
        }
        Ok(())
    })
}
