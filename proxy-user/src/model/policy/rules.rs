//! Rules of the policies in use.

use std::collections::BTreeSet;

use super::{Direction, PeerId, PolicyPort, PolicyRef, PortName};

/// What the rules of one policy say in one direction. A number is never used again: other rules are another number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct RulesId(pub(super) u64);

/// Rules of a policy that selects some Pod of this node.
#[derive(Debug)]
pub(crate) struct RulesInUse {
    /// Whose they are.
    pub(crate) policy: PolicyRef,
    /// Which of its lists.
    pub(crate) direction: Direction,
    /// The list.
    pub(crate) rules: Vec<PeerRule>,
    /// The named ports in it.
    pub(super) port_names: BTreeSet<PortName>,
    /// Policies that have them: a policy that is replaced, and the one that replaces it with the same rules.
    pub(super) uses: usize,
}

/// A rule.
#[derive(Debug)]
pub(crate) struct PeerRule {
    /// Its peers; `None`: everybody.
    pub(crate) peers: Option<BTreeSet<PeerId>>,
    /// Its ports; `None`: all traffic.
    pub(crate) ports: Option<Vec<PolicyPort>>,
}
