//! Client sockets with a time limit, as a job wants them bound and connected.

use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use socket2::{Domain, Socket, Type};

use super::job::Ask;
use super::outcome::Failure;

/// Opens a job's socket, bound where the job says, not yet connected.
pub(super) fn open(ask: &Ask, kind: Type) -> Result<Socket, Failure> {
    let target = target(ask);
    let failed = |error: io::Error| Failure::new("socket", &error);
    let socket = Socket::new(Domain::for_address(target), kind, None).map_err(failed)?;
    socket.set_read_timeout(Some(ask.timeout)).map_err(failed)?;
    socket.set_write_timeout(Some(ask.timeout)).map_err(failed)?;
    if let Some(local) = ask.from {
        socket.set_reuse_address(true).map_err(failed)?;
        let local = if ask.mapped { mapped(local) } else { local };
        socket.bind(&local.into()).map_err(|error| Failure::new("bind", &error))?;
    }
    Ok(socket)
}

/// Connects it.
pub(super) fn connect(socket: &Socket, ask: &Ask) -> Result<(), Failure> {
    connect_within(socket, target(ask), ask.timeout)
}

/// Connects a socket to an address.
pub(super) fn connect_within(socket: &Socket, to: SocketAddr, limit: Duration) -> Result<(), Failure> {
    socket.connect_timeout(&to.into(), limit).map_err(|error| Failure::new("connect", &error))
}

/// The address that the socket is given.
pub(super) fn target(ask: &Ask) -> SocketAddr {
    if ask.mapped { mapped(ask.to) } else { ask.to }
}

/// The IPv4 address inside a v4-mapped one; any other as it is.
pub(super) fn plain(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

fn mapped(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv6Addr::UNSPECIFIED,
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    };
    SocketAddr::new(ip.into(), address.port())
}
