//! What a traffic program is to do.

use std::net::SocketAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::meter::Meter;

/// The work of one traffic program.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Job {
    /// Serve until killed.
    Serve(Serve),
    /// HTTP requests.
    Http(Ask),
    /// UDP requests.
    Udp(Ask),
    /// Long-lived TCP connections.
    Ping(Ping),
    /// Who is reached, one try each.
    Probe(Probe),
    /// Serve what is measured on a port, until killed.
    Measured(u16),
    /// Traffic whose time is taken.
    Meter(Meter),
}

/// Servers on every address of a host, IPv4 and IPv6.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Serve {
    /// Name that answers carry.
    pub name: String,
    /// TCP ports that answer HTTP requests with who answered and whom it saw.
    pub http: Vec<u16>,
    /// TCP ports that send back what they get.
    pub echo: Vec<u16>,
    /// UDP ports that answer as HTTP does, with at least as many bytes as they got.
    pub udp: Vec<u16>,
}

/// One try at each of many servers, all at once.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Probe {
    /// The servers: TCP ones are connected to, UDP ones are to answer.
    pub targets: Vec<Target>,
    /// How long each may take.
    pub timeout: Duration,
}

/// A server to be tried.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct Target {
    /// Where it is.
    pub to: SocketAddr,
    /// Over UDP instead of TCP.
    pub udp: bool,
}

/// Requests to one address.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Ask {
    pub(crate) to: SocketAddr,
    pub(crate) from: Option<SocketAddr>,
    pub(crate) times: Option<u32>,
    pub(crate) every: Duration,
    pub(crate) timeout: Duration,
    pub(crate) send: usize,
    pub(crate) receive: usize,
    pub(crate) mapped: bool,
    pub(crate) connected: bool,
    pub(crate) reuse: bool,
    pub(crate) ending: Ending,
}

/// Who ends a TCP connection when its request is answered, and so, whose kernel remembers it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Ending {
    /// The client, whose kernel then keeps the port from being used again to the same address for a minute.
    Client,
    /// The server.
    Server,
    /// The client with a reset: nobody remembers it.
    Reset,
}

impl Ask {
    /// One request, from any port, given two seconds.
    #[must_use]
    pub const fn new(to: SocketAddr) -> Self {
        Self {
            to,
            from: None,
            times: Some(1),
            every: Duration::ZERO,
            timeout: Duration::from_secs(2),
            send: 0,
            receive: 0,
            mapped: false,
            connected: true,
            reuse: false,
            ending: Ending::Client,
        }
    }

    /// Binds the client's socket; an unspecified address leaves the address open, port 0 the port.
    #[must_use]
    pub const fn from(mut self, local: SocketAddr) -> Self {
        self.from = Some(local);
        self
    }

    /// Number of requests.
    #[must_use]
    pub const fn times(mut self, times: u32) -> Self {
        self.times = Some(times);
        self
    }

    /// Pause between requests.
    #[must_use]
    pub const fn every(mut self, pause: Duration) -> Self {
        self.every = pause;
        self
    }

    /// How long each connect, read and write may take.
    #[must_use]
    pub const fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = limit;
        self
    }

    /// Size in bytes of the request's body: of the datagram for UDP.
    #[must_use]
    pub const fn send(mut self, bytes: usize) -> Self {
        self.send = bytes;
        self
    }

    /// Least size in bytes of the answer's body, for HTTP.
    #[must_use]
    pub const fn receive(mut self, bytes: usize) -> Self {
        self.receive = bytes;
        self
    }

    /// Asks an IPv4 address through an IPv6 socket, as programs do that know only `AF_INET6`.
    #[must_use]
    pub const fn mapped(mut self) -> Self {
        self.mapped = true;
        self
    }

    /// Sends each datagram to its address (`sendto`) where a UDP client would otherwise connect its socket.
    #[must_use]
    pub const fn unconnected(mut self) -> Self {
        self.connected = false;
        self
    }

    /// Makes every request through the first one's socket, as long as it is of use; otherwise each has one of its own.
    #[must_use]
    pub const fn one_socket(mut self) -> Self {
        self.reuse = true;
        self
    }

    /// Who ends each TCP connection.
    #[must_use]
    pub const fn ended_by(mut self, ending: Ending) -> Self {
        self.ending = ending;
        self
    }

    /// Goes on until the program's standard input is closed.
    #[must_use]
    pub(crate) const fn until_stopped(mut self) -> Self {
        self.times = None;
        self
    }
}

/// Connections to a server that echoes, each sending one small message after the other until told to stop.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Ping {
    /// Address to connect to.
    pub to: SocketAddr,
    /// Number of connections.
    pub connections: u32,
    /// Pause after each echo.
    pub every: Duration,
    /// How long an echo may take before the connection counts as lost.
    pub timeout: Duration,
}

impl Ping {
    /// One connection, a message each 5 ms, lost after ten seconds.
    #[must_use]
    pub const fn new(to: SocketAddr) -> Self {
        Self { to, connections: 1, every: Duration::from_millis(5), timeout: Duration::from_secs(10) }
    }

    /// Number of connections.
    #[must_use]
    pub const fn connections(mut self, connections: u32) -> Self {
        self.connections = connections;
        self
    }
}
