//! Reads what the programs tell, while somebody listens.

use std::time::Duration;

use jiff::Timestamp;
use rustix::time::{ClockId, clock_gettime};
use tokio::time::{MissedTickBehavior, interval};

use super::annotate::{Clocks, annotate};
use super::{Listeners, Names};
use crate::dataplane::ebpf::{Error, Events};

/// How often listeners are told what they missed.
const MISSED: Duration = Duration::from_secs(1);

/// Reads, names and passes on, for as long as the process lives.
///
/// # Errors
/// The ring can't be waited for.
pub async fn read(mut events: Events, listeners: &Listeners, names: impl Names) -> Result<(), Error> {
    let mut occupied = listeners.occupied();
    let mut ticks = interval(MISSED);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        // What the last listener left is nothing for the next one.
        events.discard();
        if occupied.wait_for(|occupied| *occupied).await.is_err() {
            return Ok(());
        }
        while *occupied.borrow() {
            tokio::select! {
                read = events.next() => {
                    let clocks = clocks();
                    for event in read? {
                        listeners.skip(event.skipped);
                        if let Some(verdict) = annotate(&event, clocks, &names) {
                            listeners.tell(verdict);
                        }
                    }
                }
                _ = ticks.tick() => listeners.tell_missed(),
            }
        }
    }
}

fn clocks() -> Clocks {
    let now = clock_gettime(ClockId::Monotonic);
    let nanoseconds = now.tv_sec.cast_unsigned() * 1_000_000_000 + now.tv_nsec.cast_unsigned();
    Clocks { monotonic: nanoseconds, wall: Timestamp::now() }
}
