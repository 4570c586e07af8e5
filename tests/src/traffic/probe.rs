//! One try at each of many servers.

use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::thread;
use std::time::Duration;

use super::job::{Probe, Target};
use super::outcome::Reached;

/// Tries them all at once; what came of each, in their order.
pub(super) fn probe(job: &Probe) -> Vec<Reached> {
    let tries: Vec<_> = job
        .targets
        .iter()
        .map(|target| {
            let (target, timeout) = (*target, job.timeout);
            thread::spawn(move || reached(target, timeout))
        })
        .collect();
    tries.into_iter().map(|one| one.join().unwrap_or(Reached::Failed)).collect()
}

fn reached(target: Target, timeout: Duration) -> Reached {
    let outcome = if target.udp {
        datagram(target.to, timeout)
    } else {
        TcpStream::connect_timeout(&target.to, timeout).map(drop)
    };
    match outcome {
        Ok(()) => Reached::Yes,
        Err(error) => match (error.kind(), error.raw_os_error()) {
            (ErrorKind::ConnectionRefused, _) => Reached::Refused,
            (ErrorKind::TimedOut | ErrorKind::WouldBlock, _) => Reached::Silence,
            (_, Some(libc::EACCES | libc::EHOSTUNREACH)) => Reached::Prohibited,
            _ => Reached::Failed,
        },
    }
}

fn datagram(to: SocketAddr, timeout: Duration) -> io::Result<()> {
    let any: SocketAddr =
        if to.is_ipv4() { (Ipv4Addr::UNSPECIFIED, 0).into() } else { (Ipv6Addr::UNSPECIFIED, 0).into() };
    let socket = UdpSocket::bind(any)?;
    socket.connect(to)?;
    socket.set_read_timeout(Some(timeout))?;
    socket.send(b"?")?;
    socket.recv(&mut [0; 1024]).map(drop)
}
