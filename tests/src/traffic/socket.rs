//! Client sockets with a time limit, as a job wants them bound and connected.

use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::thread::sleep;
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};

use super::job::Ask;
use super::outcome::Failure;

/// The kernel's name of a bound port that another connection to the same server has.
const TAKEN: &str = "EADDRNOTAVAIL";
/// Time between two tries to have it.
const AGAIN: Duration = Duration::from_millis(10);

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

/// Connects it. A port that is used again and again may still be the last connection's, whose closing segment is on its way
/// (`LAST_ACK`): it is free when that has arrived.
pub(super) fn connect(socket: &Socket, ask: &Ask) -> Result<(), Failure> {
    let started = Instant::now();
    loop {
        let left = ask.timeout.saturating_sub(started.elapsed()).max(AGAIN);
        match connect_within(socket, target(ask), left) {
            Err(failure) if failure.error == TAKEN && ask.from.is_some() && left > AGAIN => sleep(AGAIN),
            outcome => return outcome,
        }
    }
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
