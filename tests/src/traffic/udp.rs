//! UDP requests and their answers: one datagram each way.

use std::io;
use std::net::UdpSocket;

use socket2::Type;

use super::MESSAGE_MAX;
use super::job::Ask;
use super::outcome::{Answer, Failure, Reply};
use super::socket::{connect, open, plain, target};

/// A client's socket.
pub(super) struct Client(UdpSocket);

impl Client {
    pub(super) fn open(ask: &Ask) -> Result<Self, Failure> {
        let socket = open(ask, Type::DGRAM)?;
        if ask.connected {
            connect(&socket, ask)?;
        }
        Ok(Self(socket.into()))
    }

    /// One request and its answer.
    pub(super) fn request(&self, ask: &Ask) -> Result<Answer, Failure> {
        let message = vec![b'.'; ask.send.max(1)];
        let sent = if ask.connected { self.0.send(&message) } else { self.0.send_to(&message, target(ask)) };
        sent.map_err(|error| Failure::new("send", &error))?;
        let failed = |error: io::Error| Failure::new("receive", &error);
        let mut datagram = vec![0; MESSAGE_MAX];
        let (length, source) = self.0.recv_from(&mut datagram).map_err(failed)?;
        let reply: Reply = serde_json::from_slice(&datagram[..length]).map_err(|error| failed(error.into()))?;
        let peername = if ask.connected { self.0.peer_addr().map_err(failed)? } else { source };
        Ok(reply.seen_from(plain(self.0.local_addr().map_err(failed)?), plain(peername)))
    }
}

/// Answers every datagram with at least as many bytes.
pub(super) fn answer(socket: &UdpSocket, name: &str) -> io::Result<()> {
    let mut datagram = vec![0; MESSAGE_MAX];
    loop {
        // An ICMP error for an earlier answer is reported here; it concerns a client that has gone.
        let Ok((length, client)) = socket.recv_from(&mut datagram) else { continue };
        let reply = Reply { pod: name.to_owned(), client: plain(client), local: None };
        let json = reply.to_json(length)?;
        // As is one for this answer: it must not end the server.
        let _ = socket.send_to(&json, client);
    }
}
