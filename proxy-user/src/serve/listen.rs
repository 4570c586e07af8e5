//! A listening server that doesn't give up: the address may come later than the agent.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use tokio::net::TcpListener;

/// How long a failed bind is waited for before the next, as in kube-proxy.
const RETRY: Duration = Duration::from_secs(5);

/// Serves `routes` at `addr` for ever. A failed bind is logged and tried again every 5 seconds: Services are served
/// without it. `name` is what the logs call the server.
pub async fn serve(name: &'static str, addr: SocketAddr, routes: Router) {
    serve_with_retry(name, addr, routes, RETRY).await;
}

pub(super) async fn serve_with_retry(name: &'static str, addr: SocketAddr, routes: Router, retry: Duration) {
    loop {
        match TcpListener::bind(addr).await {
            Ok(listener) => {
                tracing::info!(server = name, %addr, "listening");
                // Returns only if accepting fails in a way axum doesn't retry by itself.
                if let Err(error) = axum::serve(listener, routes.clone()).await {
                    tracing::error!(server = name, %addr, %error, "stopped listening");
                }
            }
            Err(error) => tracing::error!(
                server = name,
                %addr,
                %error,
                retry_seconds = retry.as_secs(),
                "can't listen; is another agent or kube-proxy on this address?"
            ),
        }
        tokio::time::sleep(retry).await;
    }
}
