//! The agent's own two servers, as configured.

use std::sync::Arc;

use axum::Router;
use tokio::sync::Notify;

use super::failures::Failures;
use super::health::Health;
use super::listen::{BindError, Place, RETRY, Server};
use super::metrics::Metrics;
use super::routes::{health_routes, metrics_routes};
use crate::complaint::Reason;
use crate::config::{BindAddress, Config};

/// Starts the servers of health and metrics; they end with the process. What keeps one from listening is told to
/// `failures` and tried again every 5 seconds.
///
/// # Errors
/// Under `bindAddressHardFail`, an address that can't be had now.
pub fn start(
    config: &Config,
    health: &Arc<Health>,
    metrics: &Arc<Metrics>,
    failures: &Failures,
) -> Result<(), BindError> {
    let servers = [
        (
            ("health server (healthzBindAddress)", Reason::FailedToStartProxierHealthcheck),
            config.healthz_bind_address,
            health_routes(health.clone(), metrics.clone()),
        ),
        (
            ("metrics server (metricsBindAddress)", Reason::FailedToStartMetricServer),
            config.metrics_bind_address,
            metrics_routes(metrics.clone(), config),
        ),
    ];
    for (name, address, routes) in servers {
        start_one(name, address, routes, config.bind_address_hard_fail, failures)?;
    }
    Ok(())
}

fn start_one(
    (name, reason): (&str, Reason),
    address: BindAddress,
    routes: Router,
    hard_fail: bool,
    failures: &Failures,
) -> Result<(), BindError> {
    let Some(addr) = address.socket_addr() else { return Ok(()) };
    let server = Server {
        name: name.into(),
        place: Place { addr, only_own_family: false },
        failure: failures.place(None, reason),
        retry: RETRY,
        again: Arc::new(Notify::new()),
    };
    let bound = match server.bind() {
        Err(error) if hard_fail => return Err(error),
        bound => bound,
    };
    tokio::spawn(server.run(bound, routes));
    Ok(())
}
