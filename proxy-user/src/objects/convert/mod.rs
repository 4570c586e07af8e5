//! From the Kubernetes API's types to the model's: defaults filled in as the API server does, and everything we use
//! checked as it does. An object that passes can be used as it is.

mod endpoints;
mod field;
mod meta;
mod node;
mod pod;
mod service;
mod slice;

pub use field::{FieldError, FieldProblem};

#[cfg(test)]
mod tests;
