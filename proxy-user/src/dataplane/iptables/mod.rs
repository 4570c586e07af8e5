//! The tables as rules of iptables: for kernels that can't run the programs, for operators who want them, and to compare.
//!
//! The same plan fills the same tables; here, rules are made of them, with `iptables-restore` and `ip6tables-restore`, one
//! netfilter table at a time as a whole. A change writes the chains it touches and no others. All chains are called
//! [`PREFIX`] something; what else there is in the netfilter tables is never touched.

mod error;
mod ipset;
mod node;
pub mod policies;
mod remove;
mod restore;
mod rules;
mod save;
mod services;

pub use error::Error;
pub use node::Node;
pub use remove::remove;
pub use rules::Rules;

/// What the names of all our chains and sets begin with. A chain's name has 28 characters at most.
pub const PREFIX: &str = "SLUICE-";
