//! Real traffic: servers and clients that run as processes on a host, so that its cgroup's socket programs see them.
//!
//! The library describes a [`Job`] and the program `lab-traffic` carries it out, in the same types on both sides: the
//! job is its one argument, and what comes of it is one line of JSON each.

mod ask;
mod http;
mod job;
mod meter;
mod outcome;
mod ping;
mod probe;
mod run;
mod serve;
mod socket;
mod udp;

pub(crate) use ask::page;

pub use ask::{Background, BackgroundPing};
pub use http::Page;
pub use job::{Ask, Ending, Job, Ping, Probe, Serve, Target};
pub use meter::{Load, Meter, Metered};
pub use outcome::{Answer, Failure, PingReport, Reached, Response};
pub use run::run;

/// The longest line of headers and the largest datagram the lab's programs read, in bytes.
const MESSAGE_MAX: usize = 65_536;
