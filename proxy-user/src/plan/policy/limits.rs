//! How much the policy tables hold.

use proxy_common::tables::{IDENTITIES, POLICY_NAMES, RULES, SET_POLICIES};

/// Most entries of each table. `BLOCKS` isn't here: the model has no more than half as many networks, so that the table
/// holds those of two moments.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Limits {
    /// Of `IDENTITIES`, for pods elsewhere. A pod of this node always has room, or it would be open.
    pub(super) identities_elsewhere: usize,
    /// Of `RULES`.
    pub(super) rules: usize,
    /// Of `SET_POLICIES`.
    pub(super) set_policies: usize,
    /// Of `POLICY_NAMES`.
    pub(super) names: usize,
}

/// Room for addresses of this node's pods, those that go and those that come.
const RESERVED: u32 = 16_384;

impl Default for Limits {
    fn default() -> Self {
        Self {
            identities_elsewhere: (IDENTITIES.max_entries - RESERVED) as usize,
            rules: RULES.max_entries as usize,
            set_policies: SET_POLICIES.max_entries as usize,
            names: POLICY_NAMES.max_entries as usize,
        }
    }
}
