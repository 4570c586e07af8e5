//! One page of the agent's own servers.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::Context as _;

/// How long each step may take: an agent that hangs is a reason to make a bundle.
const LIMIT: Duration = Duration::from_secs(5);
/// What is read at most of a page, in bytes.
const SIZE: u64 = 64 << 20;

/// A page with its status line and headers. HTTP/1.0: the answer comes in one piece and ends with the connection.
pub(super) fn page(server: SocketAddr, path: &str) -> anyhow::Result<String> {
    let server = SocketAddr::new(reachable(server.ip()), server.port());
    let mut stream = TcpStream::connect_timeout(&server, LIMIT).with_context(|| format!("connect to {server}"))?;
    stream.set_read_timeout(Some(LIMIT))?;
    stream.set_write_timeout(Some(LIMIT))?;
    stream.write_all(format!("GET {path} HTTP/1.0\r\nHost: {server}\r\n\r\n").as_bytes())?;
    let mut page = Vec::new();
    stream.take(SIZE).read_to_end(&mut page).with_context(|| format!("read {path} of {server}"))?;
    Ok(String::from_utf8_lossy(&page).into_owned())
}

/// A server at all addresses is at loopback too.
fn reachable(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    }
}
