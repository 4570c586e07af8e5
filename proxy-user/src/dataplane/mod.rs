//! What serves the tables: makes a kernel hold them, and reads what it holds.

pub mod ebpf;
mod fill;
pub mod iptables;
mod serves;

pub use fill::Fill;
pub use serves::{Dataplane, Serves};
