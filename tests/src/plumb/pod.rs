//! A pod's interface: a routed veth pair as Calico or the ptp plugin makes it, or a port of the node's bridge as the
//! bridge plugin does.

use crate::error::Result;
use crate::family::{Addresses, Family};
use crate::ip::Batch;
use crate::netns;
use crate::options::{Attachment, Options, PodNetwork};
use crate::plumb::namespace::set_here;
use crate::plumb::node::BRIDGE;
use crate::plumb::{add_addresses, alone, in_subnet, no_dad, pod_cidrs, second_uplink};
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
    inside.add("link set eth0 up");
    match options.attachment {
        Attachment::Bridge => {
            outside.add(format_args!("link set {device} master {BRIDGE} up"));
            bridge_port(&mut inside, node, addresses);
        }
        Attachment::Routed => {
            routed_host_side(&mut outside, &device, addresses);
            routed_pod_side(&mut inside, addresses, GatewayNeighbour::Fixed);
        }
        Attachment::ProxyArp => {
            netns::inside(node_netns, || answer_arp_for_all(&device))??;
            routed_host_side(&mut outside, &device, addresses);
            routed_pod_side(&mut inside, addresses, GatewayNeighbour::Asked);
        }
        Attachment::PointToPoint => {
            point_to_point_host_side(&mut outside, &device, node, addresses);
            point_to_point_pod_side(&mut inside, node, addresses);
        }
    }
    if options.pod_network == PodNetwork::SecondUplink {
        second_uplink::add_rules(node_netns, addresses)?;
    }
    outside.run_in(node_netns)?;
    inside.run_in(pod_netns)
}

/// As Calico sets it. The kernel would wait up to 0.8 s before it answers in another's name.
fn answer_arp_for_all(device: &str) -> Result<()> {
    set_here(&format!("net/ipv4/conf/{device}/proxy_arp"), "1")?;
    set_here(&format!("net/ipv4/neigh/{device}/proxy_delay"), "0")
}

fn bridge_port(inside: &mut Batch, node: u8, addresses: Addresses) {
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

/// How a routed pod knows its gateway's address on the link.
#[derive(Clone, Copy, PartialEq, Eq)]
enum GatewayNeighbour {
    Fixed,
    Asked,
}

fn routed_pod_side(inside: &mut Batch, addresses: Addresses, gateway_neighbour: GatewayNeighbour) {
    for address in addresses.iter() {
        inside.add(format_args!("addr add {} dev eth0 {}", alone(address), no_dad(address)));
    }
    for (family, gateway) in Family::BOTH.into_iter().zip(GATEWAYS) {
        if gateway_neighbour == GatewayNeighbour::Fixed {
            inside.add(format_args!("neigh add {gateway} lladdr {HOST_SIDE} dev eth0 nud permanent"));
        }
        if family == Family::V4 {
            inside.add(format_args!("route add {gateway} dev eth0 scope link"));
        }
        inside.add(format_args!("route add default via {gateway} dev eth0"));
    }
}

/// The gateway's address is on the node's end of every pod.
fn point_to_point_host_side(outside: &mut Batch, device: &str, node: u8, addresses: Addresses) {
    outside.add(format_args!("link set {device} up"));
    for gateway in topology::pod(node, 1).iter() {
        outside.add(format_args!("addr add {} dev {device} {}", alone(gateway), no_dad(gateway)));
    }
    for address in addresses.iter() {
        // The plugin gives IPv4 routes the scope of the host.
        let scope = if address.is_ipv4() { "scope host" } else { "" };
        outside.add(format_args!("route add {} dev {device} {scope}", alone(address)));
    }
}

/// The pod's own subnet is reached by the gateway, too.
fn point_to_point_pod_side(inside: &mut Batch, node: u8, addresses: Addresses) {
    for address in addresses.iter() {
        inside.add(format_args!("addr add {} dev eth0 noprefixroute {}", in_subnet(address), no_dad(address)));
    }
    for (gateway, cidr) in topology::pod(node, 1).iter().zip(pod_cidrs(node)) {
        inside.add(format_args!("route add {} dev eth0", alone(gateway)));
        inside.add(format_args!("route add {cidr} via {gateway} dev eth0"));
        inside.add(format_args!("route add default via {gateway} dev eth0"));
    }
}
