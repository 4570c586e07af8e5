//! The agent's health server, as a kubelet on its node asks it.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context as _, Result};
use lab::Node;

const HEALTHZ: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 10256);
const LIMIT: Duration = Duration::from_secs(2);

/// Status code and body of a path; none while nobody listens.
pub(crate) fn get(node: &Node, path: &str) -> Result<Option<(u16, String)>> {
    node.inside(|| {
        let Ok(mut stream) = TcpStream::connect_timeout(&HEALTHZ, LIMIT) else { return Ok(None) };
        stream.set_read_timeout(Some(LIMIT))?;
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {HEALTHZ}\r\nConnection: close\r\n\r\n")?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        let (head, body) = text.split_once("\r\n\r\n").with_context(|| format!("no HTTP: {text:?}"))?;
        let code = head.split(' ').nth(1).and_then(|code| code.parse().ok());
        Ok(Some((code.with_context(|| format!("no status code: {head:?}"))?, body.to_owned())))
    })?
}
