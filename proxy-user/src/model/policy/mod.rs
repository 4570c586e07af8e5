//! NetworkPolicies as their objects say them.

mod network_policy;
mod policies;
mod selector;

pub use network_policy::{Namespaces, NetworkPolicy, Peer, PolicyPort, PolicyRule, PortMatch, PortRange};
pub use policies::{Policies, PolicyMode};
pub use selector::{Requirement, Selector};
