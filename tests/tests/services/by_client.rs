//! What depends on who asks: `loadBalancerSourceRanges` and session affinity.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Result;
use lab::traffic::Ask;
use lab::{Addresses, Family};

use crate::client::{self, Client, external, route_external};
use crate::configuration::everywhere;
use crate::protocol::{Protocol, pods};

/// Requests that reach one of two endpoints only, but for one case in two billion, where each is a new choice.
const MANY: u32 = 32;
/// How long a client waits for an answer that must not come.
const SILENCE: Duration = Duration::from_millis(300);
/// External IPs of `for-outside`: for the client outside, and of IPv4 only.
const FOR_OUTSIDE: Addresses = external(30);
/// Addresses of the load balancer of `for-client-1`: for the pod of this name only.
const FOR_CLIENT_1: Addresses = external(31);

/// Whether `client` gets an answer there; if not, it must get nothing at all.
fn is_served(client: &Client<'_>, protocol: Protocol, to: SocketAddr) -> Result<bool> {
    let outcome = protocol.error(client.host, &Ask::new(to).timeout(SILENCE))?;
    assert!(outcome == "timeout" || outcome.starts_with("an answer"), "{} {to} {protocol:?}: {outcome}", client.host);
    Ok(outcome != "timeout")
}

#[test]
fn source_ranges_let_those_in_that_they_hold_and_close_a_family_they_do_not_name() -> Result<()> {
    everywhere(|cluster| {
        route_external(cluster)?;
        let outside = client::outside(cluster);
        let pods = client::pods(cluster)?;
        for (protocol, family) in Protocol::with_families() {
            let to = SocketAddr::new(FOR_OUTSIDE.of(family), 80);
            assert_eq!(is_served(&outside, protocol, to)?, family == Family::V4, "{protocol:?} {family}");
            assert!(!is_served(&pods[0], protocol, to)?, "{protocol:?} {family}");
            let to = SocketAddr::new(FOR_CLIENT_1.of(family), 80);
            for (client, expected) in [(&pods[0], true), (&pods[1], false), (&outside, false)] {
                assert_eq!(is_served(client, protocol, to)?, expected, "{} {protocol:?} {family}", client.host);
            }
        }
        Ok(())
    })
}

#[test]
fn source_ranges_do_not_hold_for_cluster_addresses_and_node_ports() -> Result<()> {
    everywhere(|cluster| {
        for (protocol, family) in Protocol::with_families() {
            for client in client::everybody(cluster)? {
                for to in client::all_ways(cluster, &client, "for-client-1", family)? {
                    assert!(is_served(&client, protocol, to)?, "{} {to} {protocol:?}", client.host);
                }
            }
        }
        Ok(())
    })
}

#[test]
fn a_client_stays_with_one_endpoint_through_every_frontend_of_its_node() -> Result<()> {
    everywhere(|cluster| {
        for (protocol, family) in Protocol::with_families() {
            for client in client::everybody(cluster)? {
                let node = format!("node{}", client.node.unwrap_or(1));
                let mut ways = vec![cluster.node_port(&node, "sticky", family)?];
                if client.node.is_some() {
                    ways.push(cluster.cluster_ip("sticky", family)?);
                }
                let mut seen = BTreeSet::new();
                for to in ways {
                    let answers = protocol.answers(client.host, &Ask::new(to).times(MANY))?;
                    seen.extend(pods(&answers).into_iter().map(ToOwned::to_owned));
                }
                assert_eq!(seen.len(), 1, "{} {protocol:?} {family}: {seen:?}", client.host);
            }
        }
        Ok(())
    })
}
