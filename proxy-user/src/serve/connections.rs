//! Connections to the servers. Anyone may make them, so a server has only so many at a time, and none that says nothing for
//! long: else whoever holds connections open would take the file descriptors that the agent needs to work.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::serve::Listener;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_io_timeout::TimeoutReader;

/// What a server allows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Allowed {
    /// Connections at a time; others wait in the kernel, where they cost no descriptor.
    pub(super) at_once: usize,
    /// How long one may say nothing before it is closed.
    pub(super) silence: Duration,
}

impl Default for Allowed {
    fn default() -> Self {
        // Scrapers and kubelets ask more often than each minute, and may go on with a connection.
        Self { at_once: 64, silence: Duration::from_secs(75) }
    }
}

/// A listener that keeps to what is allowed.
#[derive(Debug)]
pub(super) struct Connections {
    listener: TcpListener,
    places: Arc<Semaphore>,
    silence: Duration,
}

impl Connections {
    pub(super) fn new(listener: TcpListener, allowed: Allowed) -> Self {
        Self { listener, places: Arc::new(Semaphore::new(allowed.at_once)), silence: allowed.silence }
    }
}

impl Listener for Connections {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        // None only of a semaphore that is closed, and nobody closes this one.
        let place = self.places.clone().acquire_owned().await.ok();
        let (stream, addr) = Listener::accept(&mut self.listener).await;
        let mut stream = TimeoutReader::new(stream);
        stream.set_timeout(Some(self.silence));
        (Connection { stream: Box::pin(stream), _place: place }, addr)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// One connection; its place is free when it is dropped.
pub(super) struct Connection {
    stream: Pin<Box<TimeoutReader<TcpStream>>>,
    _place: Option<OwnedSemaphorePermit>,
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.stream.as_mut().poll_read(cx, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.stream.as_mut().poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.as_mut().poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.as_mut().poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn who_says_nothing_keeps_others_from_being_answered_only_for_a_while() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let allowed = Allowed { at_once: 2, silence: Duration::from_millis(300) };
        let routes = Router::new().fallback(|| async { "answer" });
        tokio::spawn(async move { axum::serve(Connections::new(listener, allowed), routes).await });
        let mut silent = Vec::new();
        for _ in 0..allowed.at_once {
            silent.push(TcpStream::connect(addr).await.unwrap());
        }
        let mut asking = TcpStream::connect(addr).await.unwrap();
        asking.write_all(b"GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        let waits = timeout(allowed.silence / 3, asking.read_to_string(&mut answer)).await;
        assert!(waits.is_err(), "more than are allowed: {answer}");
        timeout(Duration::from_secs(10), asking.read_to_string(&mut answer)).await.unwrap().unwrap();
        assert!(answer.ends_with("answer"), "{answer}");
        for mut silent in silent {
            let mut nothing = Vec::new();
            timeout(Duration::from_secs(10), silent.read_to_end(&mut nothing)).await.unwrap().ok();
        }
    }
}
