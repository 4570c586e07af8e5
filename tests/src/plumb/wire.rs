//! The underlay: the nodes' segment, the client's, and the router between them, which knows pods only where
//! [`PodNetwork::SecondUplink`] says so.

use crate::error::Result;
use crate::family::Addresses;
use crate::ip::Batch;
use crate::options::{Options, PodNetwork};
use crate::plumb::{add_addresses, alone, second_uplink};
use crate::topology::{self, CLIENT, CLIENT_GATEWAY, NODE_GATEWAY};

/// The bridge that is the nodes' segment.
const SEGMENT: &str = "segment";
/// The router's interface towards the client.
const TO_CLIENT: &str = "to-client";

/// The router's interface towards a node.
pub(crate) fn to_node(number: u8) -> String {
    format!("to-node{number}")
}

/// The router's interface towards a node's second uplink.
pub(crate) fn to_second_uplink(number: u8) -> String {
    format!("to-node{number}-2")
}

/// The router's interface towards the client.
pub(crate) const fn to_client() -> &'static str {
    TO_CLIENT
}

/// Configures the router, whose interfaces are there.
pub(crate) fn configure_router(netns: &str, options: &Options) -> Result<()> {
    let mut batch = Batch::default();
    batch.add("link set lo up");
    batch.add(format_args!("link add {SEGMENT} type bridge mcast_snooping 0"));
    for node in 1..=options.nodes {
        batch.add(format_args!("link set {} master {SEGMENT} up", to_node(node)));
        if options.pod_network == PodNetwork::SecondUplink {
            batch.add(format_args!("link set {} master {SEGMENT} up", to_second_uplink(node)));
        }
    }
    // After the ports: a bridge takes the least of their MTUs until it is told one.
    batch.add(format_args!("link set {SEGMENT} mtu {} up", options.segment_mtu));
    add_addresses(&mut batch, NODE_GATEWAY, SEGMENT);
    batch.add(format_args!("link set {TO_CLIENT} up"));
    add_addresses(&mut batch, CLIENT_GATEWAY, TO_CLIENT);
    batch.run_in(netns)
}

/// Tells the router of a pod, where the network knows pods.
pub(crate) fn add_pod(netns: &str, node: u8, addresses: Addresses) -> Result<()> {
    let interface =
        if second_uplink::has_pod(addresses) { topology::second_uplink(node) } else { topology::node(node) };
    let mut batch = Batch::default();
    for (address, via) in addresses.iter().zip(interface.iter()) {
        batch.add(format_args!("route replace {} via {via}", alone(address)));
    }
    batch.run_in(netns)
}

/// Configures the outside client.
pub(crate) fn configure_client(netns: &str) -> Result<()> {
    let mut batch = Batch::default();
    batch.add("link set lo up");
    batch.add("link set eth0 up");
    add_addresses(&mut batch, CLIENT, "eth0");
    for gateway in CLIENT_GATEWAY.iter() {
        batch.add(format_args!("route add default via {gateway}"));
    }
    batch.run_in(netns)
}
