//! From the model to the tables the dataplane must hold. Pure: no kernel, no clock, no I/O.
//!
//! [`Desired`] is what one Service port needs of the tables; [`Plan`] knows what they hold and yields the [`Write`]s
//! that lead from there to the desired state, in an order in which no reader sees half a change. Work is proportional
//! to the changed Service: in writes to what changed of it, in memory to its endpoints.

mod addresses;
mod affinity;
mod journal;
mod limits;
pub(crate) mod name;
mod node;
mod policy;
mod port;
mod service;
mod slots;
mod update;
mod write;

pub use limits::{Limits, TableFull};
pub use node::NodePorts;
pub(crate) use policy::policy_name;
pub use policy::{BlockPrefix, PolicyImage, PolicyPlan, PolicyWrite, RulePrefix};
pub use service::Desired;
pub use update::Plan;
pub use write::{Image, SourcePrefix, Write};
