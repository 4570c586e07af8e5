//! Waits until an earlier agent has ended: in a rolling update its last moments may be the next one's first.

use std::error::Error;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::explain::explain;

/// How long: more than the 30 s that a kubelet gives a pod to end, after which it is killed.
const PATIENCE: Duration = Duration::from_secs(45);
/// How often it is tried.
const EVERY: Duration = Duration::from_millis(100);

/// Tries to take what one agent can have at a time, for as long as another one `holds` it and may be about to end.
///
/// # Errors
/// Another one holds it still, or it can't be had for another reason.
pub(super) async fn once_free<T, E: Error + 'static>(
    take: impl FnMut() -> Result<T, E>,
    holds: impl Fn(&E) -> bool,
) -> Result<T, E> {
    within(PATIENCE, take, holds).await
}

async fn within<T, E: Error + 'static>(
    patience: Duration,
    mut take: impl FnMut() -> Result<T, E>,
    holds: impl Fn(&E) -> bool,
) -> Result<T, E> {
    let end = Instant::now() + patience;
    let mut told = false;
    loop {
        match take() {
            Err(error) if holds(&error) && Instant::now() < end => {
                if !told {
                    tracing::warn!("{}; waiting {} s for it to end", explain(&error), patience.as_secs());
                    told = true;
                }
            }
            taken => return taken,
        }
        sleep(EVERY).await;
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::fmt;

    use super::*;

    /// Whether another one holds it.
    #[derive(Debug, PartialEq, Eq)]
    struct Refused(bool);

    impl fmt::Display for Refused {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "refused")
        }
    }

    impl Error for Refused {}

    async fn tried(patience: Duration, refusals: &[Refused]) -> (Result<(), Refused>, usize) {
        let tries = Cell::new(0);
        let take = || {
            tries.set(tries.get() + 1);
            refusals.get(tries.get() - 1).map_or(Ok(()), |refused| Err(Refused(refused.0)))
        };
        let taken = within(patience, take, |refused| refused.0).await;
        (taken, tries.get())
    }

    #[tokio::test]
    async fn what_another_agent_holds_is_had_once_that_has_ended() {
        let held = [Refused(true), Refused(true)];
        assert_eq!(tried(Duration::from_mins(1), &held).await, (Ok(()), 3));
    }

    #[tokio::test]
    async fn an_agent_that_goes_on_is_not_waited_for_for_ever_nor_is_any_other_failure() {
        assert_eq!(tried(Duration::ZERO, &[Refused(true)]).await, (Err(Refused(true)), 1));
        assert_eq!(tried(Duration::from_mins(1), &[Refused(false)]).await, (Err(Refused(false)), 1));
    }
}
