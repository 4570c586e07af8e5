//! A flood of half-open connections.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};

use etherparse::PacketBuilder;
use socket2::{Domain, Protocol, Socket, Type};

use crate::error::{Doing as _, Result};
use crate::host::Host;

/// Forged clients are in 100.64.0.0/10.
const FORGED: Ipv4Addr = Ipv4Addr::new(100, 64, 0, 0);

/// Sends the first segment of so many connections to an IPv4 address, each under an address that nobody has. What is
/// answered ends at `from`, which has to be on the way back, without a report.
pub fn half_open(from: &Host, to: SocketAddr, count: u32) -> Result<()> {
    let forged = format!("{FORGED}/10");
    from.run(&["ip", "route", "replace", "blackhole", &forged])?;
    from.inside(|| send(to, count))?.doing(|| format!("flood {to} from {from}"))
}

fn send(to: SocketAddr, count: u32) -> io::Result<()> {
    let SocketAddr::V4(to) = to else { return Err(io::Error::other(format!("{to} is no IPv4 address"))) };
    // The kernel takes the IP header as it is written here.
    let socket = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::from(libc::IPPROTO_RAW)))?;
    let mut packet = Vec::new();
    for number in 0..count {
        packet.clear();
        syn(number, to).write(&mut packet, &[]).map_err(io::Error::other)?;
        socket.send_to(&packet, &SocketAddr::V4(to).into())?;
    }
    Ok(())
}

fn syn(number: u32, to: SocketAddrV4) -> etherparse::PacketBuilderStep<etherparse::TcpHeader> {
    let source = Ipv4Addr::from_bits(FORGED.to_bits() | number);
    let port = 1_024 + (number % 60_000) as u16;
    PacketBuilder::ipv4(source.octets(), to.ip().octets(), 64).tcp(port, to.port(), number, 64_000).syn()
}
