//! Pods of other nodes behind VXLAN, as flannel and Calico lay it: all neighbours are known beforehand, nothing is learnt
//! from packets.

use crate::error::Result;
use crate::family::Family;
use crate::ip::Batch;
use crate::plumb::{alone, mac, no_dad, pod_cidrs};
use crate::topology;

/// The devices by the names that flannel gives them.
const DEVICES: [&str; 2] = ["flannel.1", "flannel-v6.1"];
/// The port of Linux's VXLAN before it was assigned one, which flannel still uses.
const PORT: u16 = 8472;

/// Runs a node's batch with the overlay's devices, and tells them of the other nodes.
pub(crate) fn configure(
    netns: &str,
    mut batch: Batch,
    number: u8,
    others: impl Iterator<Item = u8>,
    mtu: u32,
) -> Result<()> {
    let own = topology::pod(number, 0);
    for (family, device) in Family::BOTH.into_iter().zip(DEVICES) {
        batch.add(format_args!(
            "link add {device} address {} mtu {mtu} type vxlan id 1 local {} dev eth0 dstport {PORT} nolearning",
            mac(own.v4),
            topology::node(number).of(family)
        ));
        let address = own.of(family);
        batch.add(format_args!("addr add {} dev {device} {}", alone(address), no_dad(address)));
        batch.add(format_args!("link set {device} up"));
    }
    let mut forwarding = Batch::of_bridge();
    for other in others {
        let gateways = topology::pod(other, 0);
        for ((family, device), cidr) in Family::BOTH.into_iter().zip(DEVICES).zip(pod_cidrs(other)) {
            let (gateway, mac) = (gateways.of(family), mac(gateways.v4));
            batch.add(format_args!("neigh add {gateway} lladdr {mac} dev {device} nud permanent"));
            batch.add(format_args!("route add {cidr} via {gateway} dev {device} onlink"));
            forwarding.add(format_args!("fdb append {mac} dev {device} dst {}", topology::node(other).of(family)));
        }
    }
    batch.run_in(netns)?;
    forwarding.run_in(netns)
}
