//! Namespaces.

use std::collections::BTreeMap;

/// A Namespace.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Namespace {
    /// Name.
    pub name: String,
    /// Labels, `kubernetes.io/metadata.name` among them.
    pub labels: BTreeMap<String, String>,
    /// The network policies in it are audited: it is reported what they would deny, and nothing is denied.
    pub audit: bool,
    /// What of it can't be used, each as field and problem. The rest counts.
    pub defects: Vec<String>,
}
