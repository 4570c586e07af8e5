//! As many clients at once as a node has ports for them.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use lab::{Cluster, Family, Host, SocketLb};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use socket2::{Domain, Socket, Type};

use crate::cluster;

/// Ports that a client may be given, from 1024 on.
const PORTS: usize = 64_512;
/// Ports that sockets of the node itself hold.
const OWN: std::ops::Range<u16> = 40_000..40_100;
/// Ports of each client address: all clients have the same, so that all but one need others.
const SAME: std::ops::Range<u16> = 20_000..22_000;
/// Where the tests' servers listen in the pod.
const SERVER: u16 = 9_000;
/// How long a packet may take.
const LIMIT: Duration = Duration::from_secs(2);
/// How long a server waits for a packet that must not come.
const SILENCE: Duration = Duration::from_millis(20);

/// Every port of the node holds a flow of datagrams, but those that its own sockets hold; each flow is answered at its own
/// port, and goes on under it.
#[test]
fn all_ports_of_a_node_serve_at_once_and_its_own_sockets_keep_theirs() -> Result<()> {
    let cluster = cluster(SocketLb::Off)?;
    let node = cluster.lab().node("node1")?;
    for (refused, family) in (1..).zip(Family::BOTH) {
        let node_addr = node.addresses().of(family);
        let pod = SocketAddr::new(cluster.pod("web")?.addresses().of(family), SERVER);
        let server = cluster.pod("web")?.inside(|| bind(pod))??;
        let own = node.inside(|| OWN.map(|port| bind((node_addr, port).into())).collect::<Result<Vec<_>>>())??;
        let clients = client_addresses(&cluster, family, PORTS / SAME.len() + 1)?;
        let to = cluster.node_port("node1", "web", family)?;

        let flows = cluster.lab().client().inside(|| {
            let flows = begin_all(&clients, to, &server, PORTS - own.len())?;
            one_more_is_refused((clients[0], SAME.end).into(), to, &server)?;
            for (from, seen) in &flows {
                ensure!(exchange(&bind(*from)?, to, &server)? == *seen, "{from} didn't stay at {seen}");
            }
            Ok(flows)
        })??;
        let seen: BTreeSet<_> = flows.iter().map(|(_, seen)| *seen).collect();
        ensure!(seen.len() == flows.len(), "two flows have one port");
        ensure!(seen.iter().all(|seen| seen.ip() == node_addr && !OWN.contains(&seen.port())), "a port of the node's");
        for socket in &own {
            ensure!(exchange(socket, pod, &server)? == socket.local_addr()?, "the node's own port");
        }
        ensure!(dropped_without_a_port(node)? == refused, "counted");
    }
    Ok(())
}

/// Opens flows to `to` from the same ports of many clients; returns each one's end, and what the server saw instead.
fn begin_all(
    clients: &[IpAddr],
    to: SocketAddr,
    server: &UdpSocket,
    count: usize,
) -> Result<Vec<(SocketAddr, SocketAddr)>> {
    let from = clients.iter().flat_map(|ip| SAME.map(|port| SocketAddr::new(*ip, port)));
    let begin = |(number, from)| {
        let socket = bind(from)?;
        let seen = exchange(&socket, to, server).with_context(|| format!("{from}, {number} before"))?;
        // A client that goes on after an answer is no half-open one.
        ensure!(exchange(&socket, to, server)? == seen, "{from} moved to another port");
        Ok((from, seen))
    };
    from.take(count).enumerate().map(begin).collect()
}

fn one_more_is_refused(from: SocketAddr, to: SocketAddr, server: &UdpSocket) -> Result<()> {
    server.set_read_timeout(Some(SILENCE))?;
    let arrived = exchange(&bind(from)?, to, server);
    server.set_read_timeout(Some(LIMIT))?;
    ensure!(arrived.is_err(), "{from} got through as {arrived:?}");
    Ok(())
}

fn dropped_without_a_port(node: &Host) -> Result<u64> {
    let status = node.sluice(&["status", "--output", "json"])?;
    let status: serde_json::Value = serde_json::from_slice(&status.stdout)?;
    let drops = status["kernel"]["drops"].as_array().context("drops")?;
    let counted = drops.iter().find(|drop| drop["reason"] == "NoSourcePort").context("NoSourcePort")?;
    counted["packets"].as_u64().context("packets")
}

/// Connections of clients that all have the same ports, each held open while the others come.
#[test]
fn connections_from_the_same_ports_of_many_clients_are_kept_apart() -> Result<()> {
    const EACH: std::ops::Range<u16> = 20_000..20_200;
    raise_limit_of_files()?;
    let cluster = cluster(SocketLb::Off)?;
    for family in Family::BOTH {
        let pod = SocketAddr::new(cluster.pod("web")?.addresses().of(family), SERVER);
        let server = cluster.pod("web")?.inside(|| TcpListener::bind(pod))??;
        let to = SocketAddr::new(cluster.lab().node("node1")?.addresses().of(family), 30_081);
        let mut connections = Vec::new();
        for client in client_addresses(&cluster, family, 8)? {
            for port in EACH {
                let ours = connect(cluster.lab().client(), (client, port).into(), to)?;
                connections.push((ours, server.accept()?));
            }
        }
        let seen: BTreeSet<_> = connections.iter().map(|(_, (_, seen))| *seen).collect();
        ensure!(seen.len() == connections.len(), "two connections have one port");
        for (number, (ours, (theirs, seen))) in connections.iter_mut().enumerate() {
            ours.write_all(&number.to_be_bytes())?;
            let mut bytes = [0; size_of::<usize>()];
            theirs.read_exact(&mut bytes).with_context(|| format!("{seen}"))?;
            ensure!(bytes == number.to_be_bytes(), "{seen} got another's bytes");
        }
    }
    Ok(())
}

/// Sends a datagram and has it answered; returns from where the server saw it come.
fn exchange(client: &UdpSocket, to: SocketAddr, server: &UdpSocket) -> Result<SocketAddr> {
    let message = client.local_addr()?.to_string();
    client.send_to(message.as_bytes(), to)?;
    let mut bytes = [0; 64];
    let (length, seen) = server.recv_from(&mut bytes).context("nothing reached the server")?;
    server.send_to(&bytes[..length], seen)?;
    let (length, source) = client.recv_from(&mut bytes).context("no answer")?;
    ensure!(source == to && bytes[..length] == *message.as_bytes(), "{message} got another's answer from {source}");
    Ok(seen)
}

fn bind(address: SocketAddr) -> Result<UdpSocket> {
    let socket = UdpSocket::bind(address).with_context(|| format!("bind {address}"))?;
    socket.set_read_timeout(Some(LIMIT))?;
    Ok(socket)
}

fn connect(host: &Host, from: SocketAddr, to: SocketAddr) -> Result<TcpStream> {
    let connected = host.inside(|| {
        let socket = Socket::new(Domain::for_address(to), Type::STREAM, None)?;
        socket.bind(&from.into())?;
        socket.connect_timeout(&to.into(), LIMIT)?;
        Ok::<_, std::io::Error>(TcpStream::from(socket))
    });
    connected?.with_context(|| format!("connect {from} to {to}"))
}

/// Gives the client outside so many addresses more.
fn client_addresses(cluster: &Cluster, family: Family, count: usize) -> Result<Vec<IpAddr>> {
    let client = cluster.lab().client();
    let mut addresses = Vec::new();
    for number in 100..100 + count {
        let (address, length) = match family {
            Family::V4 => (format!("198.51.100.{number}"), 24),
            Family::V6 => (format!("2001:db8:2::{number}"), 64),
        };
        client.run(&["ip", "address", "replace", &format!("{address}/{length}"), "dev", "eth0", "nodad"])?;
        addresses.push(address.parse()?);
    }
    Ok(addresses)
}

/// Both ends of each connection are sockets of this process.
fn raise_limit_of_files() -> Result<()> {
    let limit = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: limit, maximum: limit }).context("raise RLIMIT_NOFILE")
}
