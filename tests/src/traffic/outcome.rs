//! What came of it.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::{Doing as _, Result};

/// What a server says about a request, and the client about its socket. IPv4 addresses are never v4-mapped here.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Answer {
    /// Name of the server that answered.
    pub pod: String,
    /// The client's address as the server saw it.
    pub client: SocketAddr,
    /// The server's own address on the connection; none for UDP.
    pub local: Option<SocketAddr>,
    /// The client's `getsockname`.
    pub sockname: SocketAddr,
    /// The client's `getpeername`, or for an unconnected socket the source that `recvfrom` gave.
    pub peername: SocketAddr,
}

/// The server's half of an answer.
#[derive(Serialize, Deserialize)]
pub(super) struct Reply {
    pub(super) pod: String,
    pub(super) client: SocketAddr,
    pub(super) local: Option<SocketAddr>,
}

impl Reply {
    /// At least so many bytes of JSON: it ends in a line feed, and JSON ignores the spaces before.
    pub(super) fn to_json(&self, least: usize) -> io::Result<Vec<u8>> {
        let mut json = serde_json::to_vec(self)?;
        json.resize(json.len().max(least.saturating_sub(1)), b' ');
        json.push(b'\n');
        Ok(json)
    }

    pub(super) fn seen_from(self, sockname: SocketAddr, peername: SocketAddr) -> Answer {
        Answer { pod: self.pod, client: self.client, local: self.local, sockname, peername }
    }
}

/// Why a request got no answer.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Failure {
    /// The kernel's name of the error (`ECONNREFUSED`), `timeout`, or `closed` when the other side ended too early.
    pub error: String,
    /// What was being done.
    pub during: String,
}

impl Failure {
    pub(super) fn new(during: &str, error: &io::Error) -> Self {
        use io::ErrorKind::{TimedOut, UnexpectedEof, WouldBlock};
        let name = match (error.kind(), error.raw_os_error()) {
            // ETIMEDOUT of the kernel's own giving up is the same to a client.
            (TimedOut | WouldBlock, _) => "timeout".into(),
            (UnexpectedEof, _) => "closed".into(),
            (_, Some(number)) => format!("{:?}", nix::errno::Errno::from_raw(number)),
            (_, None) => error.to_string(),
        };
        Self { error: name, during: during.into() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} during {}", self.error, self.during)
    }
}

/// What came of a try.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub enum Reached {
    /// Connected, or answered.
    Yes,
    /// Refused: a reset, or an ICMP error that says nobody serves there.
    Refused,
    /// An ICMP error that says a policy forbids it.
    Prohibited,
    /// Nothing came.
    Silence,
    /// Another error.
    Failed,
}

/// What a server that isn't the lab's own answers over HTTP.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Response {
    /// Status code.
    pub code: u16,
    /// Status line and headers, in lower case.
    pub head: String,
    /// Body.
    pub body: String,
}

impl Response {
    /// Its body, which is JSON.
    pub fn json(&self) -> Result<serde_json::Value> {
        serde_json::from_str(&self.body).map_err(io::Error::from).doing(|| format!("read JSON: {:?}", self.body))
    }
}

/// What became of long-lived connections.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct PingReport {
    /// Messages sent, of 8 bytes each.
    pub sent: u64,
    /// Messages that came back, complete and in order.
    pub echoed: u64,
    /// The longest that one took. A packet lost on the way shows as TCP's retransmission time-out, 200 ms or more.
    pub slowest: Duration,
    /// Connections that ended before they were told to, or were never made.
    pub failures: Vec<Failure>,
}

impl PingReport {
    pub(super) fn add(&mut self, other: Self) {
        self.sent += other.sent;
        self.echoed += other.echoed;
        self.slowest = self.slowest.max(other.slowest);
        self.failures.extend(other.failures);
    }
}
