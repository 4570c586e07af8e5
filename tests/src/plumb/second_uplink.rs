//! A second uplink with a routing table of its own, as the VPC CNI plugin of AWS sets it up for a second network
//! interface: the pods whose addresses belong to that interface send by it, all else goes by the first.

use crate::error::Result;
use crate::family::Addresses;
use crate::ip::Batch;
use crate::plumb::{add_addresses, alone};
use crate::topology::{self, NODE_GATEWAY};

/// The interface's name on the node.
pub(crate) const DEVICE: &str = "eth1";
/// Its routing table, by the number that the plugin gives it.
const TABLE: u32 = 2;
/// Priorities of the rules, as the plugin's.
const TO_POD: u32 = 512;
const FROM_POD: u32 = 1536;

/// Whether a pod's addresses belong to the second interface.
pub(crate) fn has_pod(addresses: Addresses) -> bool {
    addresses.v4.octets()[3] % 2 == 1
}

/// Adds the interface's configuration to its node's.
pub(crate) fn configure(batch: &mut Batch, number: u8) {
    batch.add(format_args!("link set {DEVICE} up"));
    add_addresses(batch, topology::second_uplink(number), DEVICE);
    for gateway in NODE_GATEWAY.iter() {
        batch.add(format_args!("route add {} dev {DEVICE} scope link table {TABLE}", alone(gateway)));
        batch.add(format_args!("route add default via {gateway} dev {DEVICE} table {TABLE}"));
    }
}

/// Adds the rules of a pod to its node's.
pub(crate) fn add_rules(netns: &str, addresses: Addresses) -> Result<()> {
    for (address, mut batch) in addresses.iter().map(alone).zip([Batch::default(), Batch::of_ipv6()]) {
        batch.add(format_args!("rule add to {address} lookup main priority {TO_POD}"));
        if has_pod(addresses) {
            batch.add(format_args!("rule add from {address} lookup {TABLE} priority {FROM_POD}"));
        }
        batch.run_in(netns)?;
    }
    Ok(())
}
