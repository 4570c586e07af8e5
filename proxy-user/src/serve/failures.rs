//! What the servers can't do at present: for the status, and once for the log.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::complaint::{Complaint, Reason};
use crate::model::ObjectRef;

/// The failures there are now, told by the servers and read by the agent.
#[derive(Clone, Debug, Default)]
pub struct Failures(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    next: u64,
    complaints: BTreeMap<u64, Complaint>,
}

/// The place of one server's failure; what it holds goes with it.
#[derive(Debug)]
pub(super) struct Failure {
    failures: Failures,
    number: u64,
    object: Option<ObjectRef>,
    reason: Reason,
}

impl Failures {
    /// Every failure there is, in the order in which the servers began.
    #[must_use]
    pub fn list(&self) -> Vec<Complaint> {
        self.state().complaints.values().cloned().collect()
    }

    /// A place for what keeps the server of `object`, or of the node, from listening.
    pub(super) fn place(&self, object: Option<ObjectRef>, reason: Reason) -> Failure {
        let mut state = self.state();
        state.next += 1;
        Failure { failures: self.clone(), number: state.next, object, reason }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Each change of the state is one insertion or removal: a panic leaves it whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Failure {
    /// It fails like this now; logged when that is new.
    pub(super) fn set(&self, text: &str) {
        let complaint = Complaint { object: self.object.clone(), reason: self.reason, text: text.to_owned() };
        let before = self.failures.state().complaints.insert(self.number, complaint);
        if before.is_none_or(|before| before.text != text) {
            tracing::error!("{text}; tried again every few seconds");
        }
    }

    /// It doesn't fail any more.
    pub(super) fn clear(&self) {
        self.failures.state().complaints.remove(&self.number);
    }
}

impl Drop for Failure {
    fn drop(&mut self) {
        self.clear();
    }
}
