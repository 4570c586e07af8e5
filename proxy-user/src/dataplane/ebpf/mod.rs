//! The tables as BPF maps.

pub mod cleanup;
pub mod read;
