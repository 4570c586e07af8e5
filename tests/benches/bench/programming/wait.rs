//! Looks at something until it is as it should be.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

/// How long it took until `look` was true; an error that says `what` if that wasn't in time. It looks all the time: a
/// pause would be part of what is measured.
pub(crate) fn until(what: &str, limit: Duration, mut look: impl FnMut() -> Result<bool>) -> Result<Duration> {
    let started = Instant::now();
    while !look()? {
        ensure!(started.elapsed() < limit, "{what}: not in {limit:?}");
    }
    Ok(started.elapsed())
}
