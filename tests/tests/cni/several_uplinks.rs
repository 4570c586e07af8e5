//! A node with several uplinks, and rules that say which pod sends by which: the VPC CNI plugin of AWS.

use anyhow::Result;
use lab::topology::second_uplink;
use lab::{Attachment, Cluster, Family, Lab, PodNetwork};
use std::net::SocketAddr;

use crate::scene::{clients_seen, serves_and_polices, start};

fn cluster(rp_filter: u8) -> Result<Cluster> {
    let lab = Lab::builder().attachment(Attachment::ProxyArp).pod_network(PodNetwork::SecondUplink);
    start(lab.rp_filter(rp_filter).build()?)
}

#[test]
fn pods_of_both_uplinks_are_served_and_policed() -> Result<()> {
    // Strictly filtered: a node port's packets may come by one uplink and go by the other.
    for rp_filter in [1, 2] {
        serves_and_polices(&cluster(rp_filter)?)?;
    }
    Ok(())
}

#[test]
fn node_port_is_served_at_the_address_of_each_uplink() -> Result<()> {
    let cluster = cluster(2)?;
    for family in Family::BOTH {
        let port = cluster.node_port("node1", "web", family)?.port();
        let to = SocketAddr::new(second_uplink(1).of(family), port);
        clients_seen(cluster.lab().client(), to)?;
        clients_seen(cluster.lab().node("node2")?, to)?;
        clients_seen(cluster.pod("stranger-1")?, to)?;
    }
    Ok(())
}
