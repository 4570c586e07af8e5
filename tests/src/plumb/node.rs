//! A node: its uplink, the routes to the other nodes' pods, and where its own pods are.

use crate::error::Result;
use crate::family::Family;
use crate::ip::Batch;
use crate::options::{Attachment, Options};
use crate::plumb::{add_addresses, pod_cidrs};
use crate::topology::{self, NODE_GATEWAY};

/// The bridge that pods are attached to, by the name the bridge CNI plugin gives it.
pub(crate) const BRIDGE: &str = "cni0";

/// Configures node `number`, whose `eth0` is there.
pub(crate) fn configure(netns: &str, number: u8, options: &Options) -> Result<()> {
    let mut batch = Batch::default();
    batch.add("link set lo up");
    batch.add("link set eth0 up");
    add_addresses(&mut batch, topology::node(number), "eth0");
    for gateway in NODE_GATEWAY.iter() {
        batch.add(format_args!("route add default via {gateway}"));
    }
    for other in (1..=options.nodes).filter(|other| *other != number) {
        for (family, cidr) in Family::BOTH.into_iter().zip(pod_cidrs(other)) {
            batch.add(format_args!("route add {cidr} via {}", topology::node(other).of(family)));
        }
    }
    own_pods(&mut batch, number, options);
    batch.run_in(netns)
}

fn own_pods(batch: &mut Batch, number: u8, options: &Options) {
    match options.attachment {
        Attachment::Bridge => {
            let mac = bridge_mac(number);
            batch.add(format_args!(
                "link add {BRIDGE} address {mac} mtu {} type bridge mcast_snooping 0",
                options.pod_mtu
            ));
            batch.add(format_args!("link set {BRIDGE} up"));
            add_addresses(batch, topology::pod(number, 1), BRIDGE);
        }
        // Each pod has its own route; what is for none of them must not leave by the default route.
        Attachment::Routed => {
            for cidr in pod_cidrs(number) {
                batch.add(format_args!("route add blackhole {cidr}"));
            }
        }
    }
}

/// An address of the bridge's own, as the bridge plugin gives it. Otherwise a bridge takes the least of its ports', and
/// pods lose their gateway when a pod comes or goes.
fn bridge_mac(number: u8) -> String {
    let [a, b, c, d] = topology::pod(number, 1).v4.octets();
    format!("0a:58:{a:02x}:{b:02x}:{c:02x}:{d:02x}")
}
