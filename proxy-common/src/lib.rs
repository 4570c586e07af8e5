//! What the kernel programs, the agent, `sluice explain` and the tests share: the layouts of the tables, and the
//! decisions taken on them.
//!
//! Invariants: no allocation, no I/O, no clock and no kernel type. A decision is a pure function over a small trait of
//! table look-ups, so the same code runs on BPF maps, on pinned maps and on plain collections.
#![no_std]
#![deny(missing_docs)]
#![forbid(unsafe_op_in_unsafe_fn)]

pub mod addr;
pub mod affinity;
pub mod checksum;
pub mod crc32c;
pub mod drop;
pub mod event;
pub mod flow;
pub mod fragment;
pub mod guard;
pub mod nat;
pub mod neighbour;
pub mod packet;
#[cfg(any(test, feature = "plain"))]
pub mod plain;
#[cfg(feature = "user")]
mod pod;
pub mod policy;
pub mod sctp;
pub mod service;
pub mod socket;
pub mod sweep;
pub mod tables;
pub mod takeover;
pub mod wire;
