//! What the objects mean to us. Pure: no Kubernetes client, no kernel, no clock, no I/O.
//!
//! [`Cluster`] holds the objects and answers, for one Service, the [`ServicePort`]s its clients see. It is told of one
//! [`Change`] at a time and names the Services that the change can touch; nothing else has to be looked at again.
//! Objects here are checked and completed already (`objects` does that): what they hold can be used as it is.

mod claims;
mod cluster;
mod endpoints;
mod namespace;
mod node;
mod object;
mod pod;
mod pods;
mod port;
mod selectors;
mod service;

pub use claims::Conflict;
pub use cluster::Cluster;
pub use endpoints::{Endpoint, EndpointGroup, EndpointSlice, Endpoints, GroupEndpoint, GroupPort};
pub use namespace::Namespace;
pub use node::Node;
pub use object::{Change, Kind, Object, ObjectRef, ServiceRef};
pub use pod::{ContainerPort, Pod};
pub use port::{Frontend, FrontendKind, Protocol, ServicePort, ServicePortName, TrafficPolicy};
pub use service::{Port, Service, ServiceType, TargetPort};

#[cfg(test)]
pub(crate) mod fixtures;
