//! Waiting for what takes its time: an agent sees a manifest some milliseconds after it changed.

use std::fmt::Debug;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::error::Error;

/// How long a condition is waited for; it comes about in milliseconds, unless the machine is busy.
pub const LIMIT: Duration = Duration::from_secs(10);
/// Time between two looks at a condition.
const POLL: Duration = Duration::from_millis(20);

/// Waits until `look` sees `expected`, and returns how long that took; what it saw last is the error.
pub fn eventually<T, E>(what: &str, expected: &T, look: impl Fn() -> Result<T, E>) -> Result<Duration, E>
where
    T: PartialEq + Debug,
    E: From<Error>,
{
    let started = Instant::now();
    loop {
        let seen = look()?;
        if seen == *expected {
            return Ok(started.elapsed());
        }
        if started.elapsed() >= LIMIT {
            let (seen, expected) = (format!("{seen:?}"), format!("{expected:?}"));
            return Err(Error::Never { what: what.into(), seen, expected, limit: LIMIT }.into());
        }
        sleep(POLL);
    }
}
