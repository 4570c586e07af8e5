//! The listening socket and the connections made to it, which can all be cut.

use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::thread::sleep;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use super::answer::answer;
use super::shared::Shared;

/// A server that listens; it and its connections end when this is dropped.
#[derive(Debug)]
pub(super) struct Listening {
    accepting: JoinHandle<()>,
    /// Closes every connection that was made so far.
    cut: watch::Sender<()>,
}

impl Listening {
    /// Serves what comes to a socket, in whatever network namespace that is.
    pub(super) fn start(
        runtime: &Handle,
        socket: TcpListener,
        tls: Option<TlsAcceptor>,
        shared: Arc<Shared>,
    ) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        let _entered = runtime.enter();
        let socket = tokio::net::TcpListener::from_std(socket)?;
        let cut = watch::Sender::new(());
        let accepting = tokio::spawn(accept(socket, tls, shared, cut.clone()));
        Ok(Self { accepting, cut })
    }

    /// Closes every connection.
    pub(super) fn cut(&self) {
        self.cut.send_replace(());
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.accepting.abort();
        self.cut();
        // The socket goes with the task, on one of its runtime's threads: until then, it takes connections.
        while !self.accepting.is_finished() {
            sleep(Duration::from_millis(1));
        }
    }
}

async fn accept(
    socket: tokio::net::TcpListener,
    tls: Option<TlsAcceptor>,
    shared: Arc<Shared>,
    cut: watch::Sender<()>,
) {
    let router = Router::new().fallback(answer).with_state(shared);
    // An error is one connection's, which went before it was taken.
    loop {
        let Ok((stream, _peer)) = socket.accept().await else { continue };
        let (router, tls, mut cut) = (router.clone(), tls.clone(), cut.subscribe());
        tokio::spawn(async move {
            tokio::select! {
                () = converse(stream, tls, router) => {}
                _ = cut.changed() => {}
            }
        });
    }
}

async fn converse(stream: tokio::net::TcpStream, tls: Option<TlsAcceptor>, router: Router) {
    match tls {
        None => serve(stream, router).await,
        Some(tls) => {
            // A handshake fails for a client that doesn't trust us: its affair.
            if let Ok(stream) = tls.accept(stream).await {
                serve(stream, router).await;
            }
        }
    }
}

async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, router: Router) {
    let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    // It fails when the client goes or a fault cuts it, both of which are meant.
    let _: Result<(), hyper::Error> = connection.await;
}
