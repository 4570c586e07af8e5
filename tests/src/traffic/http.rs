//! The HTTP that the lab speaks: a request says how many bytes its answer should have, and the answer is JSON.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use socket2::{SockRef, Type};

use super::MESSAGE_MAX;
use super::job::{Ask, Ending};
use super::outcome::{Answer, Failure, Reply};
use super::socket::{connect, open, plain};

/// Room for the few headers that the lab's programs and a curl send.
const HEADERS_MAX: usize = 32;

/// A client's connection.
pub(super) struct Connection {
    stream: BufReader<TcpStream>,
    closing: bool,
}

impl Connection {
    pub(super) fn open(ask: &Ask) -> Result<Self, Failure> {
        let socket = open(ask, Type::STREAM)?;
        connect(&socket, ask)?;
        Ok(Self { stream: BufReader::new(socket.into()), closing: false })
    }

    /// Whether the server takes further requests on it.
    pub(super) const fn is_kept(&self) -> bool {
        !self.closing
    }

    /// One request and its answer.
    pub(super) fn request(&mut self, ask: &Ask) -> Result<Answer, Failure> {
        let body = vec![b'.'; ask.send];
        let connection = if ask.ending == Ending::Server { "close" } else { "keep-alive" };
        let request = format!(
            "POST /{} HTTP/1.1\r\nHost: {}\r\nContent-Length: {}\r\nConnection: {connection}\r\n\r\n",
            ask.receive, ask.to, ask.send
        );
        self.send(&[request.as_bytes(), &body]).map_err(|error| Failure::new("send", &error))?;
        let received = self.receive().and_then(|reply| self.end(ask.ending).map(|()| reply));
        let reply = received.map_err(|error| Failure::new("receive", &error))?;
        let names = || Ok((plain(self.stream.get_ref().local_addr()?), plain(self.stream.get_ref().peer_addr()?)));
        let (sockname, peername) = names().map_err(|error: io::Error| Failure::new("getpeername", &error))?;
        Ok(reply.seen_from(sockname, peername))
    }

    fn send(&mut self, parts: &[&[u8]]) -> io::Result<()> {
        self.stream.get_mut().write_all(&parts.concat())
    }

    /// Sees to it that the connection ends as it should when it is dropped.
    fn end(&mut self, ending: Ending) -> io::Result<()> {
        match ending {
            Ending::Client => Ok(()),
            Ending::Server => self.stream.read_to_end(&mut Vec::new()).map(drop),
            Ending::Reset => SockRef::from(self.stream.get_ref()).set_linger(Some(Duration::ZERO)),
        }
    }

    fn receive(&mut self) -> io::Result<Reply> {
        let head = read_head(&mut self.stream)?.ok_or(io::ErrorKind::UnexpectedEof)?;
        let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
        let mut response = httparse::Response::new(&mut headers);
        response.parse(&head).map_err(io::Error::other)?;
        self.closing = is_closing(response.headers);
        let body = read_body(&mut self.stream, response.headers)?;
        Ok(serde_json::from_slice(&body)?)
    }
}

/// Answers a connection's requests until it ends or asks to be closed, or the server drains.
pub(super) fn answer(stream: TcpStream, name: &str, draining: &AtomicBool) -> io::Result<()> {
    let (client, local) = (plain(stream.peer_addr()?), plain(stream.local_addr()?));
    let mut stream = BufReader::new(stream);
    while let Some(head) = read_head(&mut stream)? {
        let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
        let mut request = httparse::Request::new(&mut headers);
        request.parse(&head).map_err(io::Error::other)?;
        let least = request.path.and_then(|path| path.trim_start_matches('/').parse().ok()).unwrap_or(0);
        read_body(&mut stream, request.headers)?;
        let reply = Reply { pod: name.to_owned(), client, local: Some(local) };
        let body = reply.to_json(least)?;
        let close = is_closing(request.headers) || draining.load(Ordering::Relaxed);
        let connection = if close { "close" } else { "keep-alive" };
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: {connection}\r\n\r\n",
            body.len()
        );
        stream.get_mut().write_all(&[head.as_bytes(), &body].concat())?;
        if close {
            break;
        }
    }
    Ok(())
}

/// What an HTTP server answered.
#[derive(Clone, Debug)]
pub struct Page {
    /// Status code.
    pub code: u16,
    /// Status line and headers, in lower case.
    pub head: String,
    /// What follows them.
    pub body: String,
}

impl Page {
    /// The body as JSON.
    pub fn json(&self) -> serde_json::Result<serde_json::Value> {
        serde_json::from_str(&self.body)
    }
}

/// Status code and body that a server answers a GET with, for the endpoints of agents.
pub(crate) fn get(mut stream: TcpStream, path: &str) -> io::Result<Page> {
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").as_bytes())?;
    let mut stream = BufReader::new(stream);
    let head = read_head(&mut stream)?.ok_or(io::ErrorKind::UnexpectedEof)?;
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut response = httparse::Response::new(&mut headers);
    response.parse(&head).map_err(io::Error::other)?;
    let code = response.code.ok_or(io::ErrorKind::InvalidData)?;
    let mut body = String::new();
    stream.read_to_string(&mut body)?;
    Ok(Page { code, head: String::from_utf8_lossy(&head).to_lowercase(), body })
}

/// A message's first line and headers with the empty line that ends them; none when the connection ended before.
fn read_head(stream: &mut BufReader<TcpStream>) -> io::Result<Option<Vec<u8>>> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let left = (MESSAGE_MAX - head.len()) as u64;
        if stream.by_ref().take(left).read_until(b'\n', &mut head)? == 0 {
            return if head.is_empty() { Ok(None) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
        }
    }
    Ok(Some(head))
}

fn read_body(stream: &mut BufReader<TcpStream>, headers: &[httparse::Header<'_>]) -> io::Result<Vec<u8>> {
    let length = header(headers, "content-length").and_then(|value| std::str::from_utf8(value).ok()?.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    stream.read_exact(&mut body)?;
    Ok(body)
}

/// Whether the message is the last of its direction.
fn is_closing(headers: &[httparse::Header<'_>]) -> bool {
    header(headers, "connection").is_some_and(|value| value.eq_ignore_ascii_case(b"close"))
}

fn header<'a>(headers: &[httparse::Header<'a>], name: &str) -> Option<&'a [u8]> {
    headers.iter().find(|header| header.name.eq_ignore_ascii_case(name)).map(|header| header.value)
}
