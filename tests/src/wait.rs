//! Waiting for what takes its time: an agent sees a manifest some milliseconds after it changed.

use std::env;
use std::fmt::Debug;
use std::sync::LazyLock;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::error::Error;

/// How long a condition is waited for; it comes about in milliseconds, unless the machine is busy.
pub const LIMIT: Duration = Duration::from_secs(10);
/// Time between two looks at a condition.
const POLL: Duration = Duration::from_millis(20);

/// A limit as this machine needs it: `LAB_PATIENCE` times as long, where that is set. For a machine without a processor of
/// its own, which is tens of times slower.
#[must_use]
pub fn patient(limit: Duration) -> Duration {
    static TIMES: LazyLock<u32> = LazyLock::new(|| {
        let told = env::var("LAB_PATIENCE").ok().and_then(|times| times.parse().ok());
        told.unwrap_or(1)
    });
    limit.saturating_mul(*TIMES)
}

/// Waits until `look` sees `expected`, and returns how long that took; what it saw last is the error.
pub fn eventually<T, E>(what: &str, expected: &T, look: impl Fn() -> Result<T, E>) -> Result<Duration, E>
where
    T: PartialEq + Debug,
    E: From<Error>,
{
    let (started, limit) = (Instant::now(), patient(LIMIT));
    loop {
        let seen = look()?;
        if seen == *expected {
            return Ok(started.elapsed());
        }
        if started.elapsed() >= limit {
            let (seen, expected) = (format!("{seen:?}"), format!("{expected:?}"));
            return Err(Error::Never { what: what.into(), seen, expected, limit }.into());
        }
        sleep(POLL);
    }
}
