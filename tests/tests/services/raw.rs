//! Packets that no socket of the transport would send as they are.

use std::mem::MaybeUninit;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use anyhow::{Context as _, Result};
use etherparse::PacketBuilder;
use lab::{Family, Host};
use socket2::{Domain, Protocol, Socket, Type};

/// How long a packet that comes at all may take.
pub(crate) const LIMIT: Duration = Duration::from_secs(5);
/// `IPPROTO_RAW`: what is sent begins with its IP header.
const WITH_HEADER: i32 = 255;

/// A socket on `host` for packets of an IP protocol.
pub(crate) fn open(host: &Host, family: Family, protocol: i32) -> Result<Socket> {
    let domain = if family == Family::V4 { Domain::IPV4 } else { Domain::IPV6 };
    let socket = host.inside(|| Socket::new(domain, Type::from(libc::SOCK_RAW), Some(Protocol::from(protocol))))??;
    socket.set_read_timeout(Some(LIMIT))?;
    Ok(socket)
}

/// Sends IP packets, header and all, in this order.
pub(crate) fn send(host: &Host, to: IpAddr, packets: &[Vec<u8>]) -> Result<()> {
    let socket = open(host, Family::of(to), WITH_HEADER)?;
    for packet in packets {
        socket.send_to(packet, &SocketAddr::new(to, 0).into())?;
    }
    Ok(())
}

/// What comes behind the IP header of the next packet, and who sent it.
pub(crate) fn receive(socket: &Socket, family: Family) -> Result<(Vec<u8>, IpAddr)> {
    let mut packet = vec![MaybeUninit::new(0); 65_536];
    let (length, source) = socket.recv_from(&mut packet)?;
    // SAFETY: every byte was written above.
    let bytes: Vec<u8> = packet[..length].iter().map(|byte| unsafe { byte.assume_init() }).collect();
    // Only an IPv4 socket of this type shows the header.
    let header = if family == Family::V4 { usize::from(bytes[0] & 0xf) * 4 } else { 0 };
    let source = source.as_socket().context("the source is no IP address")?.ip();
    Ok((bytes[header..].to_vec(), source))
}

/// A UDP datagram with its IP header.
pub(crate) fn udp(src: SocketAddr, dst: SocketAddr, payload: &[u8]) -> Result<Vec<u8>> {
    let builder = match (src.ip(), dst.ip()) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => PacketBuilder::ipv4(src.octets(), dst.octets(), 64),
        (IpAddr::V6(src), IpAddr::V6(dst)) => PacketBuilder::ipv6(src.octets(), dst.octets(), 64),
        _ => anyhow::bail!("{src} and {dst} are of two families"),
    };
    let mut packet = Vec::new();
    builder.udp(src.port(), dst.port()).write(&mut packet, payload)?;
    Ok(packet)
}
