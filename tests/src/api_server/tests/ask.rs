//! Requests over plain sockets: what is really on the wire.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;

use crate::ApiServer;

/// How long an answer is waited for.
const LIMIT: Duration = Duration::from_secs(10);

/// An answer whose body is still to be read.
pub(super) struct Answer {
    pub(super) code: u16,
    /// Status line and headers, in lower case.
    pub(super) head: String,
    body: BufReader<TcpStream>,
}

impl Answer {
    pub(super) fn json(mut self) -> Value {
        let mut text = String::new();
        self.body.read_to_string(&mut text).unwrap();
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    /// The next line of the body; empty at its end.
    pub(super) fn line(&mut self) -> String {
        let mut line = String::new();
        self.body.read_line(&mut line).unwrap();
        line
    }

    /// Type, and name or resource version, of the next event of a watch.
    pub(super) fn event(&mut self) -> (String, Value) {
        let line = self.line();
        let event: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
        (event["type"].as_str().unwrap().to_owned(), event["object"].clone())
    }
}

pub(super) fn get(server: &ApiServer, path: &str) -> Answer {
    ask(server, &format!("GET {path}"), "", "")
}

/// HTTP/1.0, so that a stream comes without the frames of chunks.
pub(super) fn ask(server: &ApiServer, method_and_path: &str, headers: &str, body: &str) -> Answer {
    let mut stream = TcpStream::connect(server.address()).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    let length = body.len();
    write!(stream, "{method_and_path} HTTP/1.0\r\nHost: localhost\r\n{headers}Content-Length: {length}\r\n\r\n{body}")
        .unwrap();
    let mut body = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert_ne!(body.read_line(&mut head).unwrap(), 0, "no answer: {head:?}");
    }
    let code = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer { code, head: head.to_lowercase(), body }
}
