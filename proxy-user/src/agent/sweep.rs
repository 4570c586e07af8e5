//! Has flows that are over removed from time to time.

use std::sync::Arc;
use std::time::Duration;

use proxy_common::flow::expired;

use crate::dataplane::ebpf::Sweeper;
use crate::explain::explain;
use crate::serve::Metrics;

/// Time between two sweeps. Nothing waits for one: a flow that is over is not used again, it only takes room.
const INTERVAL: Duration = Duration::from_secs(10);

/// Sweeps in the background, on a thread of its own, for as long as the process lives.
pub(super) fn start(sweeper: Sweeper, metrics: Arc<Metrics>) {
    tokio::task::spawn_blocking(move || {
        loop {
            std::thread::sleep(INTERVAL);
            match sweeper.sweep(|key, record, now| expired(record, key.protocol, now)) {
                Ok(swept) => {
                    // Each flow has two records.
                    metrics.flows.set(((swept.examined / 2).saturating_sub(swept.removed)).cast_signed());
                    tracing::debug!(examined = swept.examined, removed = swept.removed, "swept the flows");
                }
                Err(error) => tracing::error!("the flows can't be swept: {}", explain(&error)),
            }
        }
    });
}
