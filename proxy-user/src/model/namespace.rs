//! Namespaces.

use std::collections::BTreeMap;

/// A Namespace.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Namespace {
    /// Name.
    pub name: String,
    /// Labels, `kubernetes.io/metadata.name` among them.
    pub labels: BTreeMap<String, String>,
}
