//! How the lab's interfaces, addresses and routes are laid, as batches of `ip` commands.

pub(crate) mod device;
pub(crate) mod namespace;
pub(crate) mod node;
pub(crate) mod overlay;
pub(crate) mod pod;
pub(crate) mod second_uplink;
pub(crate) mod wire;

use std::net::IpAddr;

use crate::family::{Addresses, Family};
use crate::topology::{host_length, subnet_length};

/// A subnet written with one of its addresses: 192.0.2.11/24.
pub(crate) fn in_subnet(address: IpAddr) -> String {
    format!("{address}/{}", subnet_length(Family::of(address)))
}

/// A prefix that holds one address.
pub(crate) fn alone(address: IpAddr) -> String {
    format!("{address}/{}", host_length(Family::of(address)))
}

/// The subnet of the pods of a node.
pub(crate) fn pod_cidrs(node: u8) -> impl Iterator<Item = String> {
    crate::topology::pod(node, 0).iter().map(in_subnet)
}

/// A link-layer address of an IPv4 address, which is that of no other host.
pub(crate) fn mac(ip: std::net::Ipv4Addr) -> String {
    let [a, b, c, d] = ip.octets();
    format!("0a:58:{a:02x}:{b:02x}:{c:02x}:{d:02x}")
}

/// `ip addr add` needs to be told not to wait for duplicates of an IPv6 address.
pub(crate) fn no_dad(address: IpAddr) -> &'static str {
    if address.is_ipv6() { "nodad" } else { "" }
}

/// Adds a dual-stack host's addresses to a device as members of their subnets.
pub(crate) fn add_addresses(batch: &mut crate::ip::Batch, addresses: Addresses, device: &str) {
    for address in addresses.iter() {
        batch.add(format_args!("addr add {} dev {device} {}", in_subnet(address), no_dad(address)));
    }
}
