//! A pod's interface: a routed veth pair as Calico makes it, or a port of the node's bridge as the bridge plugin does.

use crate::error::Result;
use crate::family::{Addresses, Family};
use crate::ip::Batch;
use crate::options::{Attachment, Options};
use crate::plumb::node::BRIDGE;
use crate::plumb::{add_addresses, alone, no_dad};
use crate::topology;

/// Link-local gateways of a routed pod: no host has the first; the second is on each pod's host side.
const GATEWAYS: [&str; 2] = ["169.254.1.1", "fe80::1"];
/// The host side's address on the link: the same for every pod, so that pods can have fixed neighbours.
const HOST_SIDE: &str = "ee:ee:ee:ee:ee:ee";

/// Name of the host side: by the last digits of the address, which are unique on a node.
pub(crate) fn host_device(addresses: Addresses) -> String {
    format!("pod{}", addresses.v4.octets()[3])
}

/// Configures both sides of a pod's veth pair, which is there.
pub(crate) fn configure(
    node_netns: &str,
    node: u8,
    pod_netns: &str,
    addresses: Addresses,
    options: &Options,
) -> Result<()> {
    let device = host_device(addresses);
    let (mut outside, mut inside) = (Batch::default(), Batch::default());
    inside.add("link set lo up");
    match options.attachment {
        Attachment::Bridge => {
            outside.add(format_args!("link set {device} master {BRIDGE} up"));
            bridge_port(&mut inside, node, addresses);
        }
        Attachment::Routed => {
            routed_host_side(&mut outside, &device, addresses);
            routed_pod_side(&mut inside, addresses);
        }
    }
    outside.run_in(node_netns)?;
    inside.run_in(pod_netns)
}

fn bridge_port(inside: &mut Batch, node: u8, addresses: Addresses) {
    inside.add("link set eth0 up");
    add_addresses(inside, addresses, "eth0");
    for gateway in topology::pod(node, 1).iter() {
        inside.add(format_args!("route add default via {gateway}"));
    }
}

fn routed_host_side(outside: &mut Batch, device: &str, addresses: Addresses) {
    outside.add(format_args!("link set {device} address {HOST_SIDE} up"));
    let [_, v6_gateway] = GATEWAYS;
    outside.add(format_args!("addr add {v6_gateway}/64 dev {device} nodad"));
    for address in addresses.iter() {
        outside.add(format_args!("route add {} dev {device}", alone(address)));
    }
}

fn routed_pod_side(inside: &mut Batch, addresses: Addresses) {
    inside.add("link set eth0 up");
    for address in addresses.iter() {
        inside.add(format_args!("addr add {} dev eth0 {}", alone(address), no_dad(address)));
    }
    for (family, gateway) in Family::BOTH.into_iter().zip(GATEWAYS) {
        // A fixed neighbour where Calico answers for it (proxy_arp), which may take the kernel most of a second.
        inside.add(format_args!("neigh add {gateway} lladdr {HOST_SIDE} dev eth0 nud permanent"));
        if family == Family::V4 {
            inside.add(format_args!("route add {gateway} dev eth0 scope link"));
        }
        inside.add(format_args!("route add default via {gateway} dev eth0"));
    }
}
