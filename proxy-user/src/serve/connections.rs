//! Connections to the servers. Anyone may make them, so a server has only so many at a time: else whoever holds some open
//! would take the file descriptors that the agent needs to work. The oldest makes room for a new one: who asks is answered
//! within milliseconds, so it is one that says nothing.

use std::collections::VecDeque;
use std::future::Future as _;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::serve::Listener;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

/// Connections of a server at a time.
pub(super) const AT_ONCE: usize = 64;

/// A listener whose connections are no more than [`AT_ONCE`].
#[derive(Debug)]
pub(super) struct Connections {
    listener: TcpListener,
    /// What ends each of them when it is dropped, the oldest first.
    open: VecDeque<oneshot::Sender<()>>,
}

impl Connections {
    pub(super) const fn new(listener: TcpListener) -> Self {
        Self { listener, open: VecDeque::new() }
    }
}

impl Listener for Connections {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        let (stream, addr) = Listener::accept(&mut self.listener).await;
        self.open.retain(|connection| !connection.is_closed());
        if self.open.len() >= AT_ONCE {
            self.open.pop_front();
        }
        let (until, end) = oneshot::channel();
        self.open.push_back(until);
        (Connection { stream, end: Some(end) }, addr)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// One connection.
#[derive(Debug)]
pub(super) struct Connection {
    stream: TcpStream,
    /// Ready once it has to make room; gone after that.
    end: Option<oneshot::Receiver<()>>,
}

impl Connection {
    /// Fails once the connection has to make room; until then the task is woken for that.
    fn poll_end(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        let is_over = self.end.as_mut().is_none_or(|end| Pin::new(end).poll(cx).is_ready());
        if is_over {
            self.end = None;
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        Ok(())
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.poll_end(cx)?;
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_end(cx)?;
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use axum::Router;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::time::timeout;

    use super::*;

    const SOON: Duration = Duration::from_secs(10);

    async fn ends(connection: &mut TcpStream) -> bool {
        timeout(Duration::from_millis(200), connection.read_u8()).await.is_ok()
    }

    #[tokio::test]
    async fn who_asks_is_answered_and_the_oldest_of_too_many_that_say_nothing_makes_room() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let routes = Router::new().fallback(|| async { "answer" });
        tokio::spawn(async move { axum::serve(Connections::new(listener), routes).await });
        let mut silent = Vec::new();
        for _ in 0..AT_ONCE {
            silent.push(TcpStream::connect(addr).await.unwrap());
        }
        assert!(!ends(&mut silent[0]).await, "there was room");
        let mut asking = TcpStream::connect(addr).await.unwrap();
        asking.write_all(b"GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        timeout(SOON, asking.read_to_string(&mut answer)).await.unwrap().unwrap();
        assert!(answer.ends_with("answer"), "{answer}");
        assert!(timeout(SOON, silent[0].read_u8()).await.is_ok(), "the oldest goes on");
        assert!(!ends(&mut silent[1]).await, "more than one made room");
    }
}
