//! SCTP through Services. The kernel here has no sockets of it: both ends write and read its packets themselves.

use std::net::{IpAddr, SocketAddr};

use anyhow::{Result, ensure};
use lab::{Cluster, Family, Host};
use socket2::Socket;

use crate::configuration::everywhere;
use crate::raw;

const PROTOCOL: i32 = 132;
/// Where the endpoint would listen.
const ENDPOINT_PORT: u16 = 9_899;
const CLIENT_PORT: u16 = 40_132;

/// Verification tag of both ends.
const TAG: [u8; 4] = [INIT; 4];

const DATA: u8 = 0;
const INIT: u8 = 1;
const INIT_ACK: u8 = 2;
const COOKIE_ECHO: u8 = 10;
const COOKIE_ACK: u8 = 11;

#[test]
fn an_association_passes_a_cluster_ip_and_a_node_port_both_ways() -> Result<()> {
    everywhere(|cluster| {
        for family in Family::BOTH {
            associate(cluster, cluster.pod("client-1")?, cluster.cluster_ip("only-node2", family)?)?;
            associate(cluster, cluster.pod("client-2")?, cluster.cluster_ip("only-node2", family)?)?;
            for node in ["node1", "node2"] {
                associate(cluster, cluster.lab().client(), cluster.node_port(node, "only-node2", family)?)?;
            }
        }
        Ok(())
    })
}

/// A handshake and data, each packet with ports and checksum right where it arrives.
fn associate(cluster: &Cluster, client: &Host, to: SocketAddr) -> Result<()> {
    let family = Family::of(to.ip());
    let mut server = raw::open(cluster.pod("web-2")?, family, PROTOCOL)?;
    let mut client = raw::open(client, family, PROTOCOL)?;
    let mut client_seen = None;
    for (asked, answered) in [(INIT, INIT_ACK), (COOKIE_ECHO, COOKIE_ACK), (DATA, DATA)] {
        let payload = vec![asked; 1_001];
        client.send_to(&packet(CLIENT_PORT, to.port(), asked, &payload), &SocketAddr::new(to.ip(), 0).into())?;
        let (seen, packet_seen) = receive(&mut server, family)?;
        let (port, there) = ends(&packet_seen);
        ensure!(there == ENDPOINT_PORT && packet_seen[12] == asked, "{to}: chunk {} at {there}", packet_seen[12]);
        ensure!(*client_seen.get_or_insert((seen, port)) == (seen, port), "{to}: the client moved");

        server.send_to(&packet(ENDPOINT_PORT, port, answered, &payload), &SocketAddr::new(seen, 0).into())?;
        let (peer, answer) = receive(&mut client, family)?;
        ensure!((SocketAddr::new(peer, ends(&answer).0), ends(&answer).1) == (to, CLIENT_PORT), "{to}: from {peer}");
    }
    Ok(())
}

/// The next packet and who sent it; its checksum must be right.
fn receive(socket: &mut Socket, family: Family) -> Result<(IpAddr, Vec<u8>)> {
    let (packet, source) = raw::receive(socket, family)?;
    let sum = crc32c::crc32c(&[&packet[..8], &[0; 4], &packet[12..]].concat());
    ensure!(packet[8..12] == sum.to_le_bytes(), "SCTP checksum of a packet from {source}");
    Ok((source, packet))
}

/// Source and destination port.
fn ends(packet: &[u8]) -> (u16, u16) {
    (u16::from_be_bytes([packet[0], packet[1]]), u16::from_be_bytes([packet[2], packet[3]]))
}

fn packet(src: u16, dst: u16, chunk: u8, payload: &[u8]) -> Vec<u8> {
    let mut packet = [src.to_be_bytes(), dst.to_be_bytes()].concat();
    // Both ends choose the first bytes of their payload as their tag (RFC 9260, 3.3.2); INIT is sent before it is known.
    packet.extend(if chunk == INIT { [0; 4] } else { TAG });
    packet.extend([0; 4]);
    packet.extend([chunk, 0]);
    packet.extend((4 + payload.len() as u16).to_be_bytes());
    packet.extend(payload);
    let sum = crc32c::crc32c(&packet);
    packet[8..12].copy_from_slice(&sum.to_le_bytes());
    packet
}
