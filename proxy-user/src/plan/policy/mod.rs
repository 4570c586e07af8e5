//! From policies to the tables that the programs judge by.

mod adopt;
mod allowed;
mod limits;
mod name;
mod numbers;
mod plain;
mod plan;
mod pod_network;
mod room;
mod set;
mod sharing;
mod standing;
mod wanted;
mod write;

pub use plan::PolicyPlan;
pub use write::{BlockPrefix, PolicyImage, PolicyWrite, RulePrefix};
