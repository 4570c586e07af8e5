//! A client has two connections from one port to one endpoint: one through a Service, one past it. Its own kernel sees two
//! destinations; only translation can keep them apart.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use lab::traffic::Ask;
use lab::{Addresses, Attachment, Cluster, Family, Host, SocketLb};
use socket2::{Domain, Socket, Type};

use crate::configuration::{Configuration, everywhere};
use crate::protocol::Protocol;

/// Ports of the client, below those that kernels give by themselves.
const PORTS: std::ops::Range<u16> = 20_000..20_010;

#[test]
fn connections_through_a_service_and_past_it_share_a_port() -> Result<()> {
    each_client(|host, service, endpoint| {
        for (port, service_first) in PORTS.zip([true, false].into_iter().cycle()) {
            let (first, second) = if service_first { (service, endpoint) } else { (endpoint, service) };
            let first = connect(port, first).with_context(|| format!("{host}: first from {port} to {first}"))?;
            exchange(&first)?;
            let second = connect(port, second).with_context(|| format!("{host}: second from {port} to {second}"))?;
            for stream in [&second, &first, &second] {
                exchange(stream).with_context(|| format!("{host}: port {port}, Service first: {service_first}"))?;
            }
        }
        Ok(())
    })
}

#[test]
fn a_port_serves_again_past_the_service_after_a_connection_through_it() -> Result<()> {
    each_client(|host, service, endpoint| {
        for port in PORTS {
            for to in [service, endpoint] {
                let stream = connect(port, to).with_context(|| format!("{host}: from {port} to {to}"))?;
                exchange(&stream)?;
                // A reset leaves no TIME_WAIT behind, so the client's kernel lets the port go at once.
                socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO))?;
            }
        }
        Ok(())
    })
}

#[test]
fn node_tells_its_own_answers_from_those_of_clients_it_masquerades() -> Result<()> {
    everywhere(|cluster| {
        let (client, node) = (cluster.lab().client(), cluster.lab().node("node1")?);
        for (protocol, family) in Protocol::with_families() {
            let from = |addresses: Addresses| SocketAddr::new(addresses.of(family), PORTS.start);
            let through = Ask::new(cluster.node_port("node1", "only-node2", family)?);
            protocol.answers(client, &through.from(from(cluster.lab().client_addresses())))?;
            let own = Ask::new(cluster.cluster_ip("only-node2", family)?);
            protocol.answers(node, &own.from(from(node.addresses())))?;
        }
        Ok(())
    })
}

#[test]
fn endpoint_answers_a_client_that_has_just_asked_through_another_nodes_port() -> Result<()> {
    everywhere(|cluster| {
        let node = cluster.lab().node("node1")?;
        for (protocol, family) in Protocol::with_families() {
            let from = SocketAddr::new(node.addresses().of(family), PORTS.start);
            for to in [cluster.node_port("node2", "only-node2", family)?, cluster.cluster_ip("only-node2", family)?] {
                protocol.answers(node, &Ask::new(to).from(from))?;
            }
        }
        Ok(())
    })
}

/// Runs a story for a pod and for a node as client, an endpoint on the same node and one on the other.
fn each_client(story: impl Fn(&Host, SocketAddr, SocketAddr) -> Result<()> + Sync) -> Result<()> {
    for attachment in Attachment::BOTH {
        let configuration = Configuration {
            attachment,
            socket_lb: SocketLb::Off,
            offload: true,
            segment_mtu: 1500,
            local_redirect: false,
        };
        configuration.tell(|cluster| {
            for (family, (pod, service)) in
                Family::BOTH.into_iter().zip([("web-1", "only-node1"), ("web-2", "only-node2")].into_iter().cycle())
            {
                in_each_place(cluster, family, pod, service, &story)?;
            }
            in_each_place(cluster, Family::V4, "web-2", "only-node2", &story)?;
            in_each_place(cluster, Family::V6, "web-1", "only-node1", &story)
        })?;
    }
    Ok(())
}

fn in_each_place(
    cluster: &Cluster,
    family: Family,
    pod: &str,
    service: &str,
    story: &(impl Fn(&Host, SocketAddr, SocketAddr) -> Result<()> + Sync),
) -> Result<()> {
    let endpoint = SocketAddr::new(cluster.pod(pod)?.addresses().of(family), 8080);
    let service = cluster.cluster_ip(service, family)?;
    let (pod, node): (&Host, &Host) = (cluster.pod("client-1")?, cluster.lab().node("node1")?);
    for host in [pod, node] {
        host.inside(|| story(host, service, endpoint))??;
    }
    Ok(())
}

fn connect(port: u16, to: SocketAddr) -> Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(to), Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    let any: SocketAddr = if to.is_ipv4() { ([0; 4], port).into() } else { ([0_u16; 8], port).into() };
    socket.bind(&any.into())?;
    socket.connect_timeout(&to.into(), Duration::from_secs(3))?;
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(Duration::from_secs(3)))?;
    Ok(stream)
}

/// One request on a connection that stays.
fn exchange(mut stream: &TcpStream) -> Result<()> {
    stream.write_all(b"GET / HTTP/1.1\r\nHost: lab\r\n\r\n")?;
    let mut answer = [0; 1024];
    let length = stream.read(&mut answer).context("no answer")?;
    ensure!(answer[..length].starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer[..length]));
    Ok(())
}
