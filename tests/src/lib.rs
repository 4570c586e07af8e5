//! The lab: a cluster's network out of network namespaces on one machine, with real sockets and the real kernel.
//!
//! [`Lab::builder`] makes nodes, an outside client and a router; [`Cluster`] adds the pods that manifests describe and
//! an agent on each node. All of it goes when the value is dropped. See `README.md` for how a suite is written, and
//! [`topology`] for the addresses.

mod agent;
pub mod api_server;
mod cgroup;
mod claim;
mod cli;
mod cluster;
mod counters;
pub mod demo;
mod error;
pub mod existing;
mod family;
pub mod figures;
pub mod fragments;
mod host;
mod id;
mod ip;
pub mod kube_proxy;
mod lab;
pub mod losses;
pub mod manifests;
mod netns;
mod node;
mod options;
mod plumb;
mod pod;
pub mod policy;
mod process;
mod programs;
mod serving;
mod teardown;
pub mod topology;
pub mod traffic;
mod usage;
mod wait;

pub use agent::{Agent, AgentOptions, Mode, SocketLb};
pub use api_server::ApiServer;
pub use cli::EndpointSet;
pub use cluster::Cluster;
pub use error::{Error, Result};
pub use family::{Addresses, Family};
pub use host::Host;
pub use id::LabId;
pub use lab::Lab;
pub use manifests::Manifests;
pub use node::Node;
pub use options::{Attachment, Builder, PodNetwork};
pub use pod::Pod;
pub use process::Process;
pub use programs::sluice;
pub use serving::Serving;
pub use usage::Usage;
pub use wait::{LIMIT, eventually, patient};
