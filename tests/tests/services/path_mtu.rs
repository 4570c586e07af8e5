//! Links that take less than the client's own: the senders on both ends learn of it through the translation.

use anyhow::Result;
use lab::traffic::Ask;
use lab::{Cluster, Family};

use crate::client;
use crate::configuration::Configuration;
use crate::protocol::Protocol;

/// Bytes of IP that the links take. Each differs, so that none hides behind another.
const SEGMENT: u32 = 1_450;
const TO_CLIENT: u32 = 1_400;
const TO_ENDPOINT: u32 = 1_350;

/// Bytes of a transfer in each direction.
const BULK: usize = 300_000;

#[test]
fn transfers_in_both_directions_pass_narrow_links() -> Result<()> {
    tell(narrow_links_are_passed)
}

#[test]
fn senders_of_datagrams_learn_what_the_path_takes() -> Result<()> {
    tell(datagrams_are_too_long)
}

fn tell(story: fn(&Cluster) -> Result<()>) -> Result<()> {
    Configuration::all().flat_map(|configuration| [true, false].map(|offload| (configuration, offload))).try_for_each(
        |(configuration, offload)| Configuration { offload, segment_mtu: SEGMENT, ..configuration }.tell(&[story]),
    )
}

/// Both ends of a connection offer segments that their own links take, 1500 bytes: what is between them takes less.
fn narrow_links_are_passed(cluster: &Cluster) -> Result<()> {
    narrow_the_way_to_the_client(cluster)?;
    for family in Family::BOTH {
        for client in client::everybody(cluster)? {
            for service in ["only-node1", "only-node2"] {
                for to in client::all_ways(cluster, &client, service, family)? {
                    // Local policy: that node answers nobody from outside it.
                    if service == "only-node1"
                        && client.node != Some(2)
                        && to == cluster.node_port("node2", service, family)?
                    {
                        continue;
                    }
                    Protocol::Tcp.answers(client.host, &Ask::new(to).send(BULK).receive(BULK))?;
                }
            }
        }
    }
    Ok(())
}

fn datagrams_are_too_long(cluster: &Cluster) -> Result<()> {
    let (node, pod) = (cluster.lab().node("node2")?, cluster.pod("web-2")?);
    node.set_mtu(&pod.host_device(), TO_ENDPOINT)?;
    pod.set_mtu("eth0", TO_ENDPOINT)?;
    for family in Family::BOTH {
        for client in client::everybody(cluster)? {
            // A node's own socket knows the MTU of its own links from the start.
            for to in client::all_ways(cluster, &client, "only-node2", family)? {
                let too_long = Ask::new(to).send(TO_ENDPOINT as usize - 20);
                assert_eq!(Protocol::Udp.error(client.host, &too_long)?, "EMSGSIZE", "{} {to}", client.host);
            }
        }
    }
    Ok(())
}

/// Only the router knows how little its link to the client takes; a smaller interface of the client's would make it ask
/// for smaller segments.
fn narrow_the_way_to_the_client(cluster: &Cluster) -> Result<()> {
    let wire = cluster.lab().wire();
    for subnet in ["198.51.100.0/24", "2001:db8:2::/64"] {
        wire.run(&["ip", "route", "change", subnet, "dev", "to-client", "mtu", &TO_CLIENT.to_string()])?;
    }
    Ok(())
}
