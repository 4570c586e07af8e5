//! The kinds of objects that are served: those that an agent reads, and Events, which it writes.

use serde_json::Value;

use super::stored::Key;
use crate::error::{Error, Result};

/// A kind of object, by the names the API has for it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Kind {
    /// Its group; empty for the core's.
    pub group: &'static str,
    /// Its version.
    pub version: &'static str,
    /// Its name in a path.
    pub plural: &'static str,
    /// Its name in an object.
    pub kind: &'static str,
    /// Whether its objects are in namespaces.
    pub namespaced: bool,
    /// What field selectors may ask for: the field's name, where it stands, and what it is where it isn't set.
    pub(super) fields: &'static [(&'static str, &'static str, &'static str)],
}

const fn core(plural: &'static str, kind: &'static str, namespaced: bool) -> Kind {
    Kind { group: "", version: "v1", plural, kind, namespaced, fields: &[] }
}

const fn grouped(group: &'static str, plural: &'static str, kind: &'static str) -> Kind {
    Kind { group, version: "v1", plural, kind, namespaced: true, fields: &[] }
}

const POD_FIELDS: &[(&str, &str, &str)] = &[
    ("spec.nodeName", "/spec/nodeName", ""),
    ("spec.hostNetwork", "/spec/hostNetwork", "false"),
    ("spec.restartPolicy", "/spec/restartPolicy", "Always"),
    ("spec.schedulerName", "/spec/schedulerName", "default-scheduler"),
    ("spec.serviceAccountName", "/spec/serviceAccountName", ""),
    ("status.phase", "/status/phase", ""),
    ("status.podIP", "/status/podIP", ""),
    ("status.nominatedNodeName", "/status/nominatedNodeName", ""),
];

/// All that are served.
pub const KINDS: [Kind; 8] = [
    core("namespaces", "Namespace", false),
    core("nodes", "Node", false),
    Kind { fields: POD_FIELDS, ..core("pods", "Pod", true) },
    // Newer API servers know `spec.clusterIP` and `spec.type`; an agent must do without.
    core("services", "Service", true),
    core("events", "Event", true),
    grouped("discovery.k8s.io", "endpointslices", "EndpointSlice"),
    grouped("networking.k8s.io", "networkpolicies", "NetworkPolicy"),
    grouped("events.k8s.io", "events", "Event"),
];

impl Kind {
    /// `v1`, or `discovery.k8s.io/v1`.
    #[must_use]
    pub fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.into() } else { format!("{}/{}", self.group, self.version) }
    }

    /// The kind that an object says it is.
    #[must_use]
    pub fn of(api_version: &str, kind: &str) -> Option<&'static Self> {
        KINDS.iter().find(|known| known.kind == kind && known.api_version() == api_version)
    }

    /// The kind of an object; an error if it isn't served.
    pub(super) fn of_object(object: &Value) -> Result<&'static Self> {
        let text = |field: &str| object[field].as_str().unwrap_or_default();
        Self::of(text("apiVersion"), text("kind")).ok_or_else(|| Error::Unknown {
            what: "kind of the API server",
            name: format!("{} {}", text("apiVersion"), text("kind")),
            have: format!("are {}", KINDS.map(|kind| format!("{} {}", kind.api_version(), kind.kind)).join(", ")),
        })
    }

    /// Path of one of its objects.
    pub(super) fn path(&self, (namespace, name): &Key) -> String {
        let root = if self.group.is_empty() { "api" } else { "apis" };
        let namespace = if self.namespaced { format!("namespaces/{namespace}/") } else { String::new() };
        format!("/{root}/{}/{namespace}{}/{name}", self.api_version(), self.plural)
    }

    /// The kind whose objects are at a path.
    pub(super) fn at(group: &str, version: &str, plural: &str) -> Option<&'static Self> {
        KINDS.iter().find(|known| (known.group, known.version, known.plural) == (group, version, plural))
    }
}
