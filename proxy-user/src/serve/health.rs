//! Whether the agent works, by kube-proxy's rules: it is healthy unless a change waits too long for the kernel. An idle
//! agent is healthy, and losing the source of objects makes it no less so.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;

/// How long things may take before the agent counts as stuck.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Age of the oldest change that isn't in the kernel: kube-proxy's twice `syncPeriod`.
    pub unapplied: Duration,
    /// Time since the last heartbeat of the agent's loop.
    pub heartbeat: Duration,
    /// The same before the first full state: one step of the start, such as the verifier's work on a busy node.
    pub start: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { unapplied: Duration::from_mins(1), heartbeat: Duration::from_mins(1), start: Duration::from_mins(10) }
    }
}

/// The state of the agent, told by its loop and asked for by the servers.
#[derive(Debug)]
pub struct Health {
    limits: Limits,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// What the first full state still lacks; `None` once it is in the kernel.
    missing: Option<String>,
    /// When the oldest unapplied change came.
    queued: Option<Instant>,
    heartbeat: Instant,
    last_updated: Timestamp,
    node_eligible: bool,
}

/// The state at one moment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Report {
    /// What readiness waits for.
    pub(super) missing: Option<String>,
    /// Why the agent isn't healthy.
    pub(super) stuck: Option<String>,
    /// When the kernel last got all that was asked for.
    pub(super) last_updated: Timestamp,
    /// Whether load balancers may send traffic to the node.
    pub(super) node_eligible: bool,
}

impl Health {
    /// A healthy agent that isn't ready.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        let state = State {
            missing: Some("the first full state".into()),
            queued: None,
            heartbeat: Instant::now(),
            last_updated: Timestamp::now(),
            node_eligible: true,
        };
        Self { limits, state: Mutex::new(state) }
    }

    /// A change has come that the kernel doesn't have. Of several unapplied changes the oldest counts.
    pub fn queued(&self) {
        self.state().queued.get_or_insert_with(Instant::now);
    }

    /// The kernel has every change that came.
    pub fn synced(&self) {
        let mut state = self.state();
        state.queued = None;
        state.last_updated = Timestamp::now();
    }

    /// The loop of the agent goes round; to be called well within [`Limits::heartbeat`], with or without changes.
    pub fn heartbeat(&self) {
        self.state().heartbeat = Instant::now();
    }

    /// The first full state lacks this yet, shown by `/readyz`; a step on the way there is as good as a heartbeat. After
    /// [`Health::ready`] it changes nothing.
    pub fn waiting_for(&self, missing: &str) {
        let mut state = self.state();
        if let Some(current) = &mut state.missing {
            missing.clone_into(current);
            state.heartbeat = Instant::now();
        }
    }

    /// The first full state is in the kernel. There is no way back: the dataplane serves whatever becomes of its agent.
    pub fn ready(&self) {
        self.state().missing = None;
    }

    /// Whether load balancers may send traffic to this node: not when its Node is being deleted or has the taint
    /// `ToBeDeletedByClusterAutoscaler`. It may until told otherwise: without a cluster there is no Node object.
    pub fn set_node_eligible(&self, eligible: bool) {
        self.state().node_eligible = eligible;
    }

    /// Whether no change waits too long for the kernel (8.12 of kube-proxy's rules), and the loop goes round.
    pub(super) fn is_healthy(&self) -> bool {
        self.report().stuck.is_none()
    }

    pub(super) fn report(&self) -> Report {
        let state = self.state();
        let late = |since: Instant, limit: Duration, what: &str| {
            let age = since.elapsed();
            (age > limit).then(|| format!("{what} {} s, more than {} s", age.as_secs(), limit.as_secs()))
        };
        let unapplied =
            state.queued.and_then(|at| late(at, self.limits.unapplied, "a change is not in the kernel for"));
        let stuck = unapplied.or_else(|| match &state.missing {
            Some(missing) => late(state.heartbeat, self.limits.start, &format!("the start waits for {missing} for")),
            None => late(state.heartbeat, self.limits.heartbeat, "the agent's loop has not gone round for"),
        });
        Report {
            missing: state.missing.clone(),
            stuck,
            last_updated: state.last_updated,
            node_eligible: state.node_eligible,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Each change of the state is one assignment: a panic leaves it whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
