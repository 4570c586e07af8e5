//! The agent's servers, as a kubelet on its node, a load balancer or a scraper asks them.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context as _, Result};
use lab::{Host, Node};
use serde_json::Value;

const HEALTHZ: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 10256);
const LIMIT: Duration = Duration::from_secs(2);

/// An answer over HTTP.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) code: u16,
    /// Status line and headers, in lower case.
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Result<Value> {
        serde_json::from_str(&self.body).with_context(|| self.body.clone())
    }
}

/// Status code and body of a path of the node's health server; none while nobody listens.
pub(crate) fn get(node: &Node, path: &str) -> Result<Option<(u16, String)>> {
    Ok(ask(node, HEALTHZ, path)?.map(|answer| (answer.code, answer.body)))
}

/// What a server answers to a host; none while nobody listens.
pub(crate) fn ask(from: &Host, to: SocketAddr, path: &str) -> Result<Option<Answer>> {
    from.inside(|| {
        let Ok(mut stream) = TcpStream::connect_timeout(&to, LIMIT) else { return Ok(None) };
        stream.set_read_timeout(Some(LIMIT))?;
        let mut text = String::new();
        let request = format!("GET {path} HTTP/1.1\r\nHost: {to}\r\nConnection: close\r\n\r\n");
        match stream.write_all(request.as_bytes()).and_then(|()| stream.read_to_string(&mut text)) {
            // A port that closes resets what it hadn't accepted yet.
            Err(error) if matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) => {
                return Ok(None);
            }
            done => done?,
        };
        let (head, body) = text.split_once("\r\n\r\n").with_context(|| format!("no HTTP: {text:?}"))?;
        let code = head.split(' ').nth(1).and_then(|code| code.parse().ok());
        let code = code.with_context(|| format!("no status code: {head:?}"))?;
        Ok(Some(Answer { code, head: head.to_lowercase(), body: body.to_owned() }))
    })?
}
