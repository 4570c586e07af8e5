//! From the policy tables as they are to the tables as they should be.

use super::{PolicyImage, PolicyWrite};
use crate::model::Policies;

/// What the policy tables hold, and the numbers in them.
#[derive(Debug)]
pub struct PolicyPlan {
    image: PolicyImage,
}

impl PolicyPlan {
    /// Starts from what the tables hold: `image`, as an earlier agent left it at whatever moment. `hold_unknown`: an address
    /// of this node's pod ranges that no Pod has is neither served nor heard.
    #[must_use]
    pub fn adopt(image: PolicyImage, hold_unknown: bool) -> Self {
        let _ = hold_unknown;
        Self { image }
    }

    /// Leads the tables to what `policies` has by now. Returns the writes, which are to be carried out in this order; none
    /// where nothing changed.
    pub fn update(&mut self, policies: &mut Policies) -> Vec<PolicyWrite> {
        let _ = policies;
        Vec::new()
    }

    /// What the tables hold once every write returned so far is carried out.
    #[must_use]
    pub fn image(&self) -> &PolicyImage {
        &self.image
    }

    /// What there is no room for, each naming the object and what became of it.
    pub fn refused(&self) -> impl Iterator<Item = String> + '_ {
        std::iter::empty()
    }
}
