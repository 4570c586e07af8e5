//! The loaded kernel programs, one packet at a time through `BPF_PROG_TEST_RUN`: given tables and a packet, the verdict
//! and the packet that comes out. Checksums are judged by a library of its own.
#![expect(clippy::unwrap_used, reason = "a test reports by panicking")]

mod answer;
mod bench;
mod budget;
mod bypass;
mod event;
mod fragment;
mod icmp;
mod local;
mod model;
mod netns;
mod packet;
mod policy;
mod policy_model;
mod sctp;
mod service;
mod stack;
mod sweep;
mod tunnel;
