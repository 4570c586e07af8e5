//! Pods that pretend.

use std::net::{IpAddr, SocketAddr};
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Result, ensure};
use etherparse::PacketBuilder;
use lab::{Cluster, Family, Host};
use socket2::{Domain, Protocol, Socket, Type};

use crate::first_packet::counter;
use crate::scene::everywhere;

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
        let before = counter(cluster.pod("nginx-2")?, "Tcp", "InSegs")?;
        for (pod, source) in by.into_iter().chain([("nginx-1", node)]) {
            for port in 0..FORGED {
                send(cluster.pod(pod)?, &syn(source, 30_000 + u16::try_from(port)?, to)?, to)?;
            }
        }
        sleep(Duration::from_millis(200));
        let after = counter(cluster.pod("nginx-2")?, "Tcp", "InSegs")?;
        ensure!(after == before, "{} forged segments arrived", after - before);
        Ok(())
    })
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
