//! From the Kubernetes API's types to the model's: defaults filled in as the API server does, and everything we use
//! checked as it does. An object that passes can be used as it is; what isn't used of a NetworkPolicy or Namespace stands
//! in its defects.

mod defects;
mod endpoints;
mod field;
mod meta;
mod network_policy;
mod node;
mod object;
mod peer;
mod pod;
mod selector;
mod service;
mod slice;
mod strict;
mod syntax;

pub use field::{FieldError, FieldProblem};
use network_policy::ApiNetworkPolicy;
pub(in crate::objects) use object::{object, typed};

#[cfg(test)]
mod tests;
