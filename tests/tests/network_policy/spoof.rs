//! Pods that pretend.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use etherparse::PacketBuilder;
use lab::{Cluster, Family, Host};
use socket2::{Domain, Protocol, SockAddr, SockAddrStorage, Socket, Type};

use crate::scene::{everywhere, tcp};

/// `IPPROTO_RAW`: what is sent begins with its IP header.
const WITH_HEADER: i32 = 255;
const FORGED: u64 = 20;

#[test]
fn pod_can_use_neither_another_pods_address_nor_its_nodes() -> Result<()> {
    everywhere(&["cluster.yaml", "only-nginx-1.yaml"], |cluster| {
        // nginx-3 is on another node than nginx-2; the one on its node is nginx-1, which may.
        let by = [
            ("nginx-1", address(cluster, "nginx-3", Family::V4)?),
            ("monitor", address(cluster, "nginx-1", Family::V4)?),
        ];
        let node = cluster.lab().node("node1")?.addresses().of(Family::V4);
        let to = SocketAddr::new(address(cluster, "nginx-2", Family::V4)?, 80);
        let before = cluster.pod("nginx-2")?.counter("Tcp", "InSegs")?;
        for (pod, source) in by.into_iter().chain([("nginx-1", node)]) {
            for port in 0..FORGED {
                send(cluster.pod(pod)?, &syn(source, 30_000 + u16::try_from(port)?, to)?, to)?;
            }
        }
        sleep(Duration::from_millis(200));
        let after = cluster.pod("nginx-2")?.counter("Tcp", "InSegs")?;
        ensure!(after == before, "{} forged segments arrived", after - before);
        Ok(())
    })
}

/// The kernel reads past a tag that names no VLAN, and so past whoever took the frame for another interface's.
#[test]
fn a_priority_tag_hides_no_source() -> Result<()> {
    everywhere(&["cluster.yaml", "only-nginx-1.yaml"], |cluster| {
        let (liar, server) = (cluster.pod("monitor")?, cluster.pod("nginx-2")?);
        let to = SocketAddr::new(address(cluster, "nginx-2", Family::V4)?, 80);
        let source = address(cluster, "nginx-1", Family::V4)?;
        // So that the liar knows its next hop.
        tcp(liar, to)?;
        let before = server.counter("Tcp", "InSegs")?;
        for port in 0..FORGED {
            send_tagged(liar, &syn(source, 30_000 + u16::try_from(port)?, to)?)?;
        }
        sleep(Duration::from_millis(200));
        let after = server.counter("Tcp", "InSegs")?;
        ensure!(after == before, "{} forged segments arrived", after - before);
        Ok(())
    })
}

/// Sends an IPv4 packet to the pod's first neighbour, tagged with VLAN 0.
fn send_tagged(host: &Host, packet: &[u8]) -> Result<()> {
    let neighbours = host.run(&["ip", "-4", "neigh", "show", "dev", "eth0"])?;
    let mac = neighbours.split_whitespace().skip_while(|word| *word != "lladdr").nth(1).context("no neighbour")?;
    let mac: Vec<u8> = mac.split(':').map(|byte| u8::from_str_radix(byte, 16)).collect::<Result<_, _>>()?;
    let frame = [&mac[..], &[2, 0, 0, 0, 0, 9], &[0x81, 0, 0, 0, 8, 0], packet].concat();
    host.inside(|| {
        // SAFETY: the name ends with a zero byte.
        let to = link_address(unsafe { libc::if_nametoindex(c"eth0".as_ptr()) })?;
        Socket::new(Domain::PACKET, Type::RAW, None)?.send_to(&frame, &to)
    })??;
    Ok(())
}

/// An interface as where to send a frame.
fn link_address(ifindex: u32) -> io::Result<SockAddr> {
    let fill = |storage: *mut SockAddrStorage, length: *mut libc::socklen_t| {
        // SAFETY: the storage holds any kind of address, is zero but for what is written, and the length is that of this kind.
        unsafe {
            let link = &mut *storage.cast::<libc::sockaddr_ll>();
            link.sll_family = libc::AF_PACKET as u16;
            link.sll_ifindex = ifindex.cast_signed();
            *length = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
        }
        Ok(())
    };
    // SAFETY: `fill` writes an address and its length.
    unsafe { SockAddr::try_init(fill) }.map(|((), addr)| addr)
}

fn address(cluster: &Cluster, pod: &str, family: Family) -> Result<IpAddr> {
    Ok(cluster.pod(pod)?.addresses().of(family))
}

fn syn(source: IpAddr, port: u16, to: SocketAddr) -> Result<Vec<u8>> {
    let (IpAddr::V4(src), IpAddr::V4(dst)) = (source, to.ip()) else { anyhow::bail!("IPv4 only") };
    let mut packet = Vec::new();
    PacketBuilder::ipv4(src.octets(), dst.octets(), 64)
        .tcp(port, to.port(), 1, 64_000)
        .syn()
        .write(&mut packet, &[])?;
    Ok(packet)
}

fn send(host: &Host, packet: &[u8], to: SocketAddr) -> Result<()> {
    host.inside(|| {
        let socket = Socket::new(Domain::IPV4, Type::from(libc::SOCK_RAW), Some(Protocol::from(WITH_HEADER)))?;
        socket.send_to(packet, &SocketAddr::new(to.ip(), 0).into())
    })??;
    Ok(())
}
