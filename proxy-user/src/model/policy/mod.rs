//! Each NetworkPolicy as its object says it, and what all of them make of addresses.
//!
//! A *peer in use* is one of a rule of a policy that selects some Pod of this node. The *class* of an address says which of
//! those it is, with the numbers of its named ports that egress rules ask for. A *set* is all that is allowed to or from a
//! Pod: the rules, in one direction, of the policies that isolate it.

mod addresses;
mod blocks;
mod changes;
mod defect;
mod index;
mod namespaces;
mod network_policy;
mod peers;
mod pods;
mod policies;
mod prefix;
mod rules;
mod selector;
mod shared;
mod standing;
mod uses;

pub(crate) use changes::Changes;
pub use defect::Defect;
pub use network_policy::{
    Direction, Namespaces, NetworkPolicy, Peer, PolicyPort, PolicyRef, PolicyRule, PortMatch, PortRange,
};
pub(crate) use peers::{PeerId, PortName};
pub use policies::{Policies, PolicyMode};
pub(crate) use prefix::Prefix;
pub(crate) use rules::{PeerRule, RulesId, RulesInUse};
pub use selector::{Requirement, Selector};
pub(crate) use standing::{Atom, Class, Isolation, SetContent, Standing};
