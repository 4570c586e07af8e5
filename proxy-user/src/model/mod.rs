//! What the objects mean to us. Pure: no Kubernetes client, no kernel, no clock, no I/O.
//!
//! [`Cluster`] holds the objects and answers, for one Service, the [`ServicePort`]s its clients see. It is told of one
//! [`Change`] at a time and names the Services that the change can touch; nothing else has to be looked at again.
//! Objects here are checked and completed already (`objects` does that): what they hold can be used as it is.

mod claims;
mod cluster;
mod endpoints;
mod health_check;
mod namespace;
mod no_local_endpoints;
mod node;
mod node_port_addresses;
mod object;
mod pod;
mod pods;
mod policy;
mod port;
mod remark;
mod selectors;
mod service;
mod topology;

pub use claims::Conflict;
pub use cluster::Cluster;
pub use endpoints::{Endpoint, EndpointGroup, EndpointSlice, Endpoints, GroupEndpoint, GroupPort};
pub use health_check::HealthCheck;
pub use namespace::Namespace;
pub use no_local_endpoints::NoLocalEndpoints;
pub use node::Node;
pub use node_port_addresses::{Eligible, NodePortAddresses, NotNodePortAddresses};
pub use object::{Change, Kind, Object, ObjectRef, ServiceRef};
pub use pod::{ContainerPort, Pod};
pub(crate) use policy::{Atom, Changes, Class, Isolation, PeerId, PortName, Prefix, RulesInUse, SetContent, Standing};
pub use policy::{
    Defect, Direction, Namespaces, NetworkPolicy, Peer, Policies, PolicyMode, PolicyPort, PolicyRef, PolicyRule,
    PortMatch, PortRange, Requirement, Selector,
};
pub use port::{Frontend, FrontendKind, Protocol, ServicePort, ServicePortName, TrafficPolicy};
pub use remark::Remark;
pub use service::{Port, Service, ServiceType, TargetPort};
pub use topology::{Chosen, Hint, Hints, Reason};

#[cfg(test)]
pub(crate) mod fixtures;
