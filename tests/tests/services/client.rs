//! Who asks.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use anyhow::Result;
use lab::{Addresses, Cluster, Family, Host, Node, topology};

/// A host that asks Services.
pub(crate) struct Client<'a> {
    pub(crate) host: &'a Host,
    /// Number of its node; none outside.
    pub(crate) node: Option<u8>,
    addresses: Vec<Addresses>,
}

impl Client<'_> {
    /// It has this address.
    pub(crate) fn owns(&self, address: IpAddr) -> bool {
        self.addresses.iter().flat_map(Addresses::iter).any(|own| own == address)
    }
}

/// A pod on each node.
pub(crate) fn pods(cluster: &Cluster) -> Result<Vec<Client<'_>>> {
    let pod = |node: u8| {
        let pod = cluster.pod(&format!("client-{node}"))?;
        Ok(Client { host: pod, node: Some(node), addresses: vec![pod.addresses()] })
    };
    [1, 2].into_iter().map(pod).collect()
}

/// The nodes: their addresses are the uplink's and the bridge's.
pub(crate) fn nodes(cluster: &Cluster) -> Vec<Client<'_>> {
    fn client(node: &Node) -> Client<'_> {
        let addresses = vec![node.addresses(), topology::pod(node.number(), 1)];
        Client { host: node, node: Some(node.number()), addresses }
    }
    cluster.lab().nodes().iter().map(client).collect()
}

/// All inside the cluster: pods and nodes.
pub(crate) fn inside(cluster: &Cluster) -> Result<Vec<Client<'_>>> {
    Ok(pods(cluster)?.into_iter().chain(nodes(cluster)).collect())
}

/// The client outside.
pub(crate) fn outside(cluster: &Cluster) -> Client<'_> {
    let lab = cluster.lab();
    Client { host: lab.client(), node: None, addresses: vec![lab.client_addresses()] }
}

/// Where a client reaches a Service: the cluster address inside, its own node's NodePort, the other node's.
pub(crate) fn all_ways(
    cluster: &Cluster,
    client: &Client<'_>,
    service: &str,
    family: Family,
) -> Result<Vec<SocketAddr>> {
    let mut ways = vec![cluster.node_port("node1", service, family)?, cluster.node_port("node2", service, family)?];
    if client.node.is_some() {
        ways.push(cluster.cluster_ip(service, family)?);
    }
    Ok(ways)
}

/// Everybody, wherever they are.
pub(crate) fn everybody(cluster: &Cluster) -> Result<Vec<Client<'_>>> {
    Ok(inside(cluster)?.into_iter().chain([outside(cluster)]).collect())
}

/// Addresses beyond the nodes, by their last number: external IPs and those of load balancers.
pub(crate) const fn external(last: u8) -> Addresses {
    let digits = (last / 10) as u16 * 16 + (last % 10) as u16;
    Addresses { v4: Ipv4Addr::new(203, 0, 113, last), v6: Ipv6Addr::new(0x2001, 0xdb8, 3, 0, 0, 0, 0, digits) }
}

/// Has the router send external addresses to node1.
pub(crate) fn route_external(cluster: &Cluster) -> Result<()> {
    let via = cluster.lab().node("node1")?.addresses();
    let wire = cluster.lab().wire();
    wire.run(&["ip", "route", "replace", "203.0.113.0/24", "via", &via.v4.to_string()])?;
    wire.run(&["ip", "-6", "route", "replace", "2001:db8:3::/64", "via", &via.v6.to_string()])?;
    Ok(())
}
