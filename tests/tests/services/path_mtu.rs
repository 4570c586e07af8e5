//! Links that take less than the client's own: the senders on both ends learn of it through the translation.

use std::net::SocketAddr;

use anyhow::Result;
use lab::traffic::Ask;
use lab::{Attachment, Cluster, Family, SocketLb};

use crate::client::{self, Client};
use crate::configuration::Configuration;
use crate::protocol::Protocol;

/// Bytes of IP that the links take. Each differs, so that none hides behind another.
const SEGMENT: u32 = 1_450;
const TO_CLIENT: u32 = 1_400;
const TO_ENDPOINT: u32 = 1_350;

/// Bytes of a transfer in each direction.
pub(crate) const BULK: usize = 300_000;
/// Bytes of a datagram that every link takes but the last: an IPv4 header of 20, a UDP header of 8, and one too many.
pub(crate) const TOO_LONG: usize = TO_ENDPOINT as usize - 20 - 8 + 1;

#[test]
fn transfers_in_both_directions_pass_narrow_links() -> Result<()> {
    with_and_without_offload(Configuration::all(), transfers_pass)
}

#[test]
fn senders_of_datagrams_learn_what_the_path_takes() -> Result<()> {
    with_and_without_offload(Configuration::all(), |cluster| {
        narrow_the_endpoint(cluster)?;
        for family in Family::BOTH {
            for client in client::everybody(cluster)?.iter().filter(|client| client.node != Some(2)) {
                datagrams_are_too_long(client, &client::all_ways(cluster, client, "only-node2", family)?)?;
            }
        }
        Ok(())
    })
}

#[test]
fn senders_of_datagrams_on_the_endpoints_node_learn_what_it_takes() -> Result<()> {
    // Pods of one bridge reach each other by frames, which a bridge drops without a word.
    let routed = |configuration: &Configuration| {
        configuration.serving.attachment == Attachment::Routed || configuration.serving.socket_lb == SocketLb::Off
    };
    with_and_without_offload(Configuration::all().filter(routed), |cluster| {
        narrow_the_endpoint(cluster)?;
        for family in Family::BOTH {
            let ways = [
                cluster.cluster_ip("only-node2", family)?,
                cluster.node_port("node2", "only-node2", family)?,
                // There and back: node2 tells node1, under its own address, of a packet that one of its pods sent.
                cluster.node_port("node1", "only-node2", family)?,
            ];
            for client in client::pods(cluster)?.iter().filter(|client| client.node == Some(2)) {
                datagrams_are_too_long(client, &ways)?;
            }
        }
        Ok(())
    })
}

fn with_and_without_offload(
    mut configurations: impl Iterator<Item = Configuration>,
    story: fn(&Cluster) -> Result<()>,
) -> Result<()> {
    configurations.try_for_each(|configuration| {
        let tell = |offload| Configuration { offload, segment_mtu: SEGMENT, ..configuration }.tell(story);
        [true, false].into_iter().try_for_each(tell)
    })
}

/// Both ends of a connection offer segments that their own links take, 1500 bytes: what is between them takes less.
fn transfers_pass(cluster: &Cluster) -> Result<()> {
    narrow_the_way_to_the_client(cluster)?;
    for family in Family::BOTH {
        for client in client::everybody(cluster)? {
            let mut ways = client::all_ways(cluster, &client, "only-node2", family)?;
            ways.push(cluster.node_port("node1", "only-node1", family)?);
            // To itself a node has no path whose MTU it would learn.
            ways.retain(|to| !client.owns(to.ip()));
            for to in ways {
                Protocol::Tcp.answers(client.host, &Ask::new(to).send(BULK).receive(BULK))?;
            }
        }
    }
    Ok(())
}

fn datagrams_are_too_long(client: &Client<'_>, ways: &[SocketAddr]) -> Result<()> {
    for to in ways {
        // What a host has learned it acts upon, for all that goes the same way.
        client.host.run(&["ip", "route", "flush", "cache"])?;
        client.host.run(&["ip", "-6", "route", "flush", "cache"])?;
        let too_long = Ask::new(*to).send(TOO_LONG);
        assert_eq!(Protocol::Udp.error(client.host, &too_long)?, "EMSGSIZE", "{} {to}", client.host);
    }
    Ok(())
}

/// Only the router knows how little its link to the client takes; a smaller interface of the client's would make it ask
/// for smaller segments.
fn narrow_the_way_to_the_client(cluster: &Cluster) -> Result<()> {
    for client in cluster.lab().client_addresses().iter() {
        let mtu = TO_CLIENT.to_string();
        cluster.lab().wire().run(&["ip", "route", "add", &client.to_string(), "dev", "to-client", "mtu", &mtu])?;
    }
    Ok(())
}

pub(crate) fn narrow_the_endpoint(cluster: &Cluster) -> Result<()> {
    let (node, pod) = (cluster.lab().node("node2")?, cluster.pod("web-2")?);
    node.set_mtu(&pod.host_device(), TO_ENDPOINT)?;
    Ok(pod.set_mtu("eth0", TO_ENDPOINT)?)
}
