//! The underlay: the nodes' segment, the client's, and the router between them, which knows nothing of pods.

use crate::error::Result;
use crate::ip::Batch;
use crate::options::Options;
use crate::plumb::add_addresses;
use crate::topology::{CLIENT, CLIENT_GATEWAY, NODE_GATEWAY};

/// The bridge that is the nodes' segment.
const SEGMENT: &str = "segment";
/// The router's interface towards the client.
const TO_CLIENT: &str = "to-client";

/// The router's interface towards a node.
pub(crate) fn to_node(number: u8) -> String {
    format!("to-node{number}")
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
    }
    // After the ports: a bridge takes the least of their MTUs until it is told one.
    batch.add(format_args!("link set {SEGMENT} mtu {} up", options.segment_mtu));
    add_addresses(&mut batch, NODE_GATEWAY, SEGMENT);
    batch.add(format_args!("link set {TO_CLIENT} up"));
    add_addresses(&mut batch, CLIENT_GATEWAY, TO_CLIENT);
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
