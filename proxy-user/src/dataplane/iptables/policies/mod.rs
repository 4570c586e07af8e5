//! `NetworkPolicy` as sets of addresses, and chains of the filter table that ask them.
//!
//! [`PolicyRules`] says what there is to be, of nothing but the tables' image; `sync` has the kernel take it.

mod bridge;
mod chains;
mod end;
mod peers;
mod ports;
mod rules;
mod set;
mod sync;

pub use chains::Chains;
pub use peers::Edits;
pub use rules::PolicyRules;
pub use set::{Members, Set};
pub(super) use sync::Policies;

/// What the names of all chains and sets of policies begin with.
const NAMES: &str = "SLUICE-NP";
/// The chain that all packets come to which the node sends on.
pub const FORWARD: &str = "SLUICE-NP";
/// The chain that all packets come to which the node gets.
pub const INPUT: &str = "SLUICE-NP-INPUT";

#[cfg(test)]
mod tests;
