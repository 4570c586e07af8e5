//! What serves the tables: makes a kernel hold them, and reads what it holds.

pub mod ebpf;
mod fill;
pub mod iptables;

pub use fill::Fill;
