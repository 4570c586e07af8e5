//! Has flows that are over removed from time to time, and counts what the programs write.

use std::sync::Arc;
use std::time::Duration;

use proxy_common::flow::expired;
use proxy_common::tables::{FLOWS, FLOWS_NEW};

use super::policy_hits::PolicyHits;
use crate::dataplane::Fill;
use crate::dataplane::ebpf::read::Pinned;
use crate::dataplane::ebpf::{Sweeper, Swept};
use crate::explain::explain;
use crate::serve::Metrics;

/// Time between two sweeps. Nothing waits for one: a flow that is over is not used again, it only takes room.
const INTERVAL: Duration = Duration::from_secs(10);

/// Sweeps in the background, on a thread of its own, for as long as the process lives.
pub(super) fn start(sweeper: Sweeper, pinned: Pinned, metrics: Arc<Metrics>) {
    tokio::task::spawn_blocking(move || {
        let mut hits = PolicyHits::default();
        loop {
            std::thread::sleep(INTERVAL);
            match sweeper.sweep(|key, record, now| expired(record, key.protocol, now)) {
                Ok(swept) => tell(swept, &metrics),
                Err(error) => tracing::error!("the flows can't be swept: {}", explain(&error)),
            }
            match pinned.fill_by_programs() {
                Ok(fills) => fills.iter().for_each(|fill| metrics.set_table(fill)),
                Err(error) => tracing::warn!("the tables are not counted: {}", explain(&error)),
            }
            if let Err(error) = hits.tell(&pinned, &metrics) {
                tracing::warn!("what policies allow is not counted: {}", explain(&error));
            }
        }
    });
}

fn tell(swept: Swept, metrics: &Metrics) {
    let Swept { established, half_open, removed, .. } = swept;
    metrics.set_table(&Fill { table: FLOWS, entries: established, evicts: false });
    metrics.set_table(&Fill { table: FLOWS_NEW, entries: half_open, evicts: true });
    // Each flow has two records, perhaps one in each table.
    let flows = u64::midpoint(established, half_open);
    metrics.flows.set(flows.saturating_sub(removed).cast_signed());
    tracing::debug!(established, half_open, removed, "swept the flows");
}
