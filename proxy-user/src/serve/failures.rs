//! What the servers can't do at present: for the status, and once for the log.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The failures there are now, told by the servers and read by the agent.
#[derive(Clone, Debug, Default)]
pub struct Failures(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    next: u64,
    texts: BTreeMap<u64, String>,
}

/// The place of one server's failure; what it holds goes with it.
#[derive(Debug)]
pub(super) struct Failure {
    failures: Failures,
    number: u64,
}

impl Failures {
    /// Every failure there is, in the order in which the servers began.
    #[must_use]
    pub fn list(&self) -> Vec<String> {
        self.state().texts.values().cloned().collect()
    }

    pub(super) fn place(&self) -> Failure {
        let mut state = self.state();
        state.next += 1;
        Failure { failures: self.clone(), number: state.next }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Each change of the state is one insertion or removal: a panic leaves it whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Failure {
    /// It fails like this now; logged when that is new.
    pub(super) fn set(&self, text: &str) {
        let before = self.failures.state().texts.insert(self.number, text.to_owned());
        if before.as_deref() != Some(text) {
            tracing::error!("{text}; tried again every few seconds");
        }
    }

    /// It doesn't fail any more.
    pub(super) fn clear(&self) {
        self.failures.state().texts.remove(&self.number);
    }
}

impl Drop for Failure {
    fn drop(&mut self) {
        self.clear();
    }
}
