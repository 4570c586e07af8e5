//! Datagrams that no link takes whole: every fragment goes where its first goes, in whatever order they come.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use anyhow::{Context as _, Result, ensure};
use lab::fragments::cut;
use lab::traffic::Ask;
use lab::{Attachment, Cluster, Family, Host, SocketLb};

use crate::client;
use crate::configuration::{Configuration, everywhere};
use crate::protocol::Protocol;
use crate::raw;

/// Bytes of a datagram: three fragments, and seven.
const LONG: [usize; 2] = [4_000, 9_000];
/// Bytes of IP that a link takes which nobody was told of.
const NARROW: u32 = 1_350;

#[test]
fn long_datagrams_are_answered_by_as_long_ones() -> Result<()> {
    everywhere(|cluster| {
        for (family, length) in Family::BOTH.into_iter().flat_map(|family| LONG.map(|length| (family, length))) {
            for client in client::everybody(cluster)? {
                let mut ways = client::all_ways(cluster, &client, "only-node2", family)?;
                ways.push(cluster.node_port("node1", "only-node1", family)?);
                // To itself a node sends such a datagram whole, and forbids to cut it.
                ways.retain(|to| !client.owns(to.ip()));
                for to in ways {
                    Protocol::Udp.answers(client.host, &Ask::new(to).send(length).unconnected())?;
                }
            }
        }
        Ok(())
    })
}

#[test]
fn ipv4_packets_that_may_be_cut_pass_narrow_links_without_a_word() -> Result<()> {
    for configuration in Configuration::all() {
        Configuration { segment_mtu: NARROW, ..configuration }.tell(|cluster| {
            for client in client::everybody(cluster)? {
                for service in ["only-node1", "only-node2"] {
                    let node = service.trim_start_matches("only-");
                    let to = cluster.node_port(node, service, Family::V4)?;
                    if !client.owns(to.ip()) {
                        Protocol::Udp.answers(client.host, &Ask::new(to).send(LONG[0]).unconnected())?;
                    }
                }
            }
            let (node, pod) = (cluster.lab().node("node2")?, cluster.pod("web-2")?);
            node.set_mtu(&pod.host_device(), NARROW - 50)?;
            pod.set_mtu("eth0", NARROW - 50)?;
            let to = cluster.node_port("node2", "only-node2", Family::V4)?;
            Protocol::Udp.answers(cluster.lab().client(), &Ask::new(to).send(LONG[0]).unconnected())?;
            Ok(())
        })?;
    }
    Ok(())
}

#[test]
fn a_datagram_whose_fragments_come_in_reverse_is_answered() -> Result<()> {
    crafted(|cluster, family| {
        let pod = cluster.pod("client-1")?;
        let outside = cluster.lab().client_addresses().of(family);
        reversed_request(pod, pod.addresses().of(family), cluster.cluster_ip("only-node2", family)?)?;
        for (node, service) in [("node1", "only-node1"), ("node1", "only-node2")] {
            reversed_request(cluster.lab().client(), outside, cluster.node_port(node, service, family)?)?;
        }
        Ok(())
    })
}

#[test]
fn an_answer_whose_fragments_come_in_reverse_is_heard_as_the_services() -> Result<()> {
    crafted(|cluster, family| {
        reversed_answer(cluster, cluster.pod("client-1")?, family, cluster.cluster_ip("only-node2", family)?)?;
        for node in ["node1", "node2"] {
            let to = cluster.node_port(node, "only-node2", family)?;
            reversed_answer(cluster, cluster.lab().client(), family, to)?;
        }
        Ok(())
    })
}

/// Both attachments and families. What a raw socket sends no socket program translates.
fn crafted(story: impl Fn(&Cluster, Family) -> Result<()>) -> Result<()> {
    for attachment in Attachment::BOTH {
        let configuration = Configuration {
            attachment,
            socket_lb: SocketLb::Off,
            offload: true,
            segment_mtu: 1_500,
            local_redirect: false,
        };
        configuration.tell(|cluster| Family::BOTH.into_iter().try_for_each(|family| story(cluster, family)))?;
    }
    Ok(())
}

fn socket(host: &Host, family: Family) -> Result<UdpSocket> {
    let any: IpAddr = if family == Family::V4 { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = host.inside(|| UdpSocket::bind((any, 0)))??;
    socket.set_read_timeout(Some(raw::LIMIT))?;
    Ok(socket)
}

/// Fragments of a datagram, the last first. Its number is that of its source port: no datagram in one story has another's.
fn reversed(from: SocketAddr, to: SocketAddr, payload: &[u8]) -> Result<Vec<Vec<u8>>> {
    let mut fragments = cut(&raw::udp(from, to, payload)?, from.port() ^ to.port(), 1_024);
    fragments.reverse();
    Ok(fragments)
}

fn reversed_request(host: &Host, address: IpAddr, to: SocketAddr) -> Result<()> {
    let socket = socket(host, Family::of(address))?;
    let from = SocketAddr::new(address, socket.local_addr()?.port());
    raw::send(host, to.ip(), &reversed(from, to, &[b'.'; LONG[0]])?)?;
    let (length, peer) = socket.recv_from(&mut vec![0; 65_536]).with_context(|| format!("{from} asked {to}"))?;
    ensure!(length >= LONG[0] && peer == to, "{length} bytes from {peer} to {from}");
    Ok(())
}

fn reversed_answer(cluster: &Cluster, host: &Host, family: Family, to: SocketAddr) -> Result<()> {
    let socket = socket(host, family)?;
    socket.send_to(b"hello", to)?;
    let mut bytes = vec![0; 65_536];
    let (length, _) = socket.recv_from(&mut bytes)?;
    let answer: serde_json::Value = serde_json::from_slice(&bytes[..length])?;
    let seen: SocketAddr = answer["client"].as_str().unwrap_or_default().parse()?;

    let endpoint = cluster.pod("web-2")?;
    let from = SocketAddr::new(endpoint.addresses().of(family), 5353);
    raw::send(endpoint, seen.ip(), &reversed(from, seen, &[b'.'; LONG[0]])?)?;
    let (length, peer) = socket.recv_from(&mut bytes).with_context(|| format!("{from} answered {seen}"))?;
    ensure!(length == LONG[0] && peer == to, "{length} bytes from {peer} to {host}");
    Ok(())
}
