//! A connection that stays, and asks from time to time.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use lab::Host;

/// How long an answer may take.
const LIMIT: Duration = Duration::from_secs(5);

/// A client's end.
pub(crate) struct Connection {
    what: String,
    stream: BufReader<TcpStream>,
}

impl Connection {
    /// Connects from a host.
    pub(crate) fn open(host: &Host, to: SocketAddr) -> Result<Self> {
        let what = format!("{host} -> {to}");
        let stream = host.inside(|| TcpStream::connect_timeout(&to, LIMIT))?.with_context(|| what.clone())?;
        stream.set_read_timeout(Some(LIMIT))?;
        Ok(Self { what, stream: BufReader::new(stream) })
    }

    /// One request and its answer's body.
    pub(crate) fn ask(&mut self) -> Result<String> {
        self.exchange().with_context(|| format!("{} is broken", self.what))
    }

    fn exchange(&mut self) -> Result<String> {
        self.stream.get_mut().write_all(b"POST /0 HTTP/1.1\r\nHost: lab\r\nContent-Length: 0\r\n\r\n")?;
        let mut length = 0;
        loop {
            let mut line = String::new();
            ensure!(self.stream.read_line(&mut line)? > 0, "closed");
            if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse()?;
            }
            if line == "\r\n" {
                break;
            }
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body)?;
        Ok(String::from_utf8(body)?)
    }
}
