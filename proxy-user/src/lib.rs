//! The agent and the command line of Sluice.
//!
//! An object's way through the agent is one direction: `objects` (where objects come from) -> `model` (what they mean)
//! -> `plan` (the tables they need) -> `dataplane` (the kernel). `model` and `plan` are pure.

pub mod dataplane;
pub mod node;

pub mod plan;
