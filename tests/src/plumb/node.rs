//! A node: its uplink, the routes to the other nodes' pods, and where its own pods are.

use crate::error::Result;
use crate::family::Family;
use crate::ip::Batch;
use crate::options::{Attachment, Options, PodNetwork};
use crate::plumb::{add_addresses, mac, overlay, pod_cidrs, second_uplink};
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
    own_pods(&mut batch, number, options);
    let others = (1..=options.nodes).filter(|other| *other != number);
    match options.pod_network {
        PodNetwork::Routes => others.for_each(|other| add_routes(&mut batch, other)),
        PodNetwork::Vxlan => return overlay::configure(netns, batch, number, others, options.pod_mtu),
        PodNetwork::SecondUplink => second_uplink::configure(&mut batch, number),
    }
    batch.run_in(netns)
}

fn add_routes(batch: &mut Batch, other: u8) {
    for (family, cidr) in Family::BOTH.into_iter().zip(pod_cidrs(other)) {
        batch.add(format_args!("route add {cidr} via {}", topology::node(other).of(family)));
    }
}

fn own_pods(batch: &mut Batch, number: u8, options: &Options) {
    match options.attachment {
        Attachment::Bridge => {
            // An address of its own, as the bridge plugin gives it. Otherwise a bridge takes the least of its ports', and
            // pods lose their gateway when a pod comes or goes.
            let mac = mac(topology::pod(number, 1).v4);
            batch.add(format_args!(
                "link add {BRIDGE} address {mac} mtu {} type bridge mcast_snooping 0",
                options.pod_mtu
            ));
            batch.add(format_args!("link set {BRIDGE} up"));
            add_addresses(batch, topology::pod(number, 1), BRIDGE);
        }
        // Each pod has its own route; what is for none of them must not leave by the default route.
        Attachment::Routed | Attachment::ProxyArp | Attachment::PointToPoint => {
            for cidr in pod_cidrs(number) {
                batch.add(format_args!("route add blackhole {cidr}"));
            }
        }
    }
}
