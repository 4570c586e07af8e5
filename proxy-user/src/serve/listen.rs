//! A listening server that doesn't give up: the address may come later than the agent.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use socket2::{Domain, Socket, Type};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::time::timeout;

use super::connections::Connections;
use super::failures::Failure;

/// How long a failed bind is waited for before the next, as in kube-proxy.
pub(super) const RETRY: Duration = Duration::from_secs(5);
/// Connections that wait to be accepted, as many as the kernel's own default allows.
const BACKLOG: i32 = 4096;

/// Where a server listens.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Place {
    pub(super) addr: SocketAddr,
    /// `[::]` is IPv6 alone; else it is both families, as everywhere where one address is configured for a server.
    pub(super) only_own_family: bool,
}

impl Place {
    fn bind(&self) -> io::Result<TcpListener> {
        let socket = Socket::new(Domain::for_address(self.addr), Type::STREAM, None)?;
        if self.addr.is_ipv6() {
            socket.set_only_v6(self.only_own_family)?;
        }
        // Connections of an earlier agent that linger keep no later one from listening.
        socket.set_reuse_address(true)?;
        socket.set_nonblocking(true)?;
        socket.bind(&self.addr.into())?;
        socket.listen(BACKLOG)?;
        TcpListener::from_std(socket.into())
    }
}

/// Why a server isn't reachable.
#[derive(Debug, thiserror::Error)]
#[error("{server}: cannot listen on {addr}: {source}; if it is taken, `ss -ltnp` says by whom")]
pub struct BindError {
    /// What it serves, and the setting or object that asks for it.
    pub server: String,
    /// Where.
    pub addr: SocketAddr,
    /// The kernel's answer.
    pub source: io::Error,
}

/// A server that is to be.
pub(super) struct Server {
    /// What it serves, and the setting or object that asks for it.
    pub(super) name: String,
    pub(super) place: Place,
    /// Where its failure to listen is told.
    pub(super) failure: Failure,
    /// How long it waits after a failed bind.
    pub(super) retry: Duration,
    /// Ends that wait early.
    pub(super) again: Arc<Notify>,
}

impl Server {
    pub(super) fn bind(&self) -> Result<TcpListener, BindError> {
        let Self { name, place, .. } = self;
        place.bind().map_err(|source| BindError { server: name.clone(), addr: place.addr, source })
    }

    /// Serves `routes` for ever, from `bound` on. A failed bind is told and tried again: Services are served without it.
    pub(super) async fn run(self, mut bound: Result<TcpListener, BindError>, routes: Router) {
        loop {
            match bound {
                Ok(listener) => {
                    self.failure.clear();
                    tracing::info!(server = self.name, addr = %self.place.addr, "listening");
                    // Returns only if accepting fails in a way axum doesn't retry by itself.
                    if let Err(error) = axum::serve(Connections::new(listener), routes.clone()).await {
                        tracing::error!(server = self.name, addr = %self.place.addr, %error, "stopped listening");
                    }
                }
                Err(error) => self.failure.set(&error.to_string()),
            }
            // Either way it is time to try again.
            let _ = timeout(self.retry, self.again.notified()).await;
            bound = self.bind();
        }
    }
}
