//! How the API server is doing, as metrics. Their names may still change.

use std::sync::atomic::Ordering;

use jiff::Timestamp;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;

use super::{Names, SecondsGauge};
use crate::objects::kubernetes::Connection;

/// What is told of an API server that objects come from.
#[derive(Debug)]
pub(super) struct ApiServerMetrics {
    connected: Gauge,
    lost: SecondsGauge,
    relists: Counter,
    errors: Counter,
}

impl ApiServerMetrics {
    pub(super) fn new(names: &mut Names) -> Self {
        Self {
            connected: names.add(
                "sluice_api_server_connected",
                "Whether every kind of object can be followed at the API server",
                Gauge::default(),
            ),
            lost: names.add(
                "sluice_api_server_lost_seconds",
                "For how long some kind of object can't be followed; 0 while all can",
                SecondsGauge::default(),
            ),
            relists: names.add(
                "sluice_api_server_relists",
                "Lists of a kind of object after its first one",
                Counter::default(),
            ),
            errors: names.add(
                "sluice_api_server_watch_errors",
                "Failures to list or watch a kind of object",
                Counter::default(),
            ),
        }
    }

    pub(super) fn set(&self, connection: &Connection) {
        let is_connected = connection.lost_since.is_none() && connection.waiting_for.is_empty();
        self.connected.set(is_connected.into());
        let lost = connection.lost_since.map(|since| Timestamp::now().duration_since(since).as_secs_f64());
        self.lost.set(lost.unwrap_or(0.0).max(0.0));
        self.relists.inner().store(connection.relists, Ordering::Relaxed);
        self.errors.inner().store(connection.watch_errors, Ordering::Relaxed);
    }
}
