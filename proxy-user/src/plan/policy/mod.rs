//! From policies to the tables that the programs judge by.

mod plain;
mod plan;
mod write;

pub use plan::PolicyPlan;
pub use write::{BlockPrefix, PolicyImage, PolicyWrite, RulePrefix};
