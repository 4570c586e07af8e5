//! The agent and the command line of Sluice.
//!
//! An object's way through the agent is one direction: `objects` (where objects come from) -> `model` (what they mean)
//! -> `plan` (the tables they need) -> `dataplane` (the kernel). `model` and `plan` are pure. The way back is by
//! counters, `status` and `serve`.

pub mod agent;
pub mod cli;
pub mod complaint;
pub mod config;
pub mod dataplane;
mod explain;
mod kube_proxy;
pub mod logging;
pub mod model;
pub mod monitor;
mod mounts;
mod netfilter;
pub mod node;
pub mod objects;
pub mod plan;
pub mod preflight;
mod reason;
pub mod serve;
pub mod status;
