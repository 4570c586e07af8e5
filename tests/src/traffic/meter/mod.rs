//! Traffic whose time is taken: clients that do nothing else, and a server that costs as little as it can.
//!
//! On a TCP port the first byte of a connection says what it is for; on the UDP port of the same number every datagram
//! is sent back.

mod client;
mod server;

use std::net::SocketAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub(super) use client::measure;
pub(super) use server::serve;

/// What a client does, over and over.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Load {
    /// Connects and resets; only the connect counts.
    Connect,
    /// Connects, asks, is answered, and sees the server close: a request of HTTP/1.0.
    Short,
    /// Asks and is answered on one connection.
    Request,
    /// Sends as much as it can on one connection, and sees it all taken.
    Bulk,
    /// Asks and is answered on one connected UDP socket.
    Datagram,
    /// The same on a new socket each time, as a resolver does.
    NewDatagram,
}

/// A client's work.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Meter {
    /// What it does.
    pub load: Load,
    /// Address of [`super::Job::Measured`]'s server, or one that leads there.
    pub to: SocketAddr,
    /// How long it goes on.
    pub lasts: Duration,
}

/// What a client saw.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Metered {
    /// How often it was done: bytes for [`Load::Bulk`].
    pub count: u64,
    /// How often it failed, which the times leave out.
    pub failures: u64,
    /// Seconds from the first to the end of the last.
    pub seconds: f64,
    /// Microseconds that half of them, nine in ten, 99 in a hundred took at most; zeros for [`Load::Bulk`].
    pub micros: [f64; 3],
}

/// First bytes of a connection.
const ANSWER_AND_CLOSE: u8 = b'c';
const ECHO: u8 = b'e';
const TAKE_ALL: u8 = b't';

/// Bytes of a request, and of its answer.
const REQUEST: usize = 64;
/// Bytes that are written and read at once in bulk.
const BLOCK: usize = 128 << 10;
