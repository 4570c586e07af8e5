//! What is wrong at present, as the status and Kubernetes Events both tell it.

use std::fmt;

use crate::model::{ObjectRef, ServiceRef};

/// One thing that is wrong, for as long as it is.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Complaint {
    /// The object it is about; the Node that says so, without one.
    pub object: Option<ObjectRef>,
    /// Its kind.
    pub reason: Reason,
    /// All of it, for people.
    pub text: String,
}

impl Complaint {
    /// About an object.
    #[must_use]
    pub fn about(object: ObjectRef, reason: Reason, text: impl fmt::Display) -> Self {
        Self { object: Some(object), reason, text: text.to_string() }
    }

    /// About a Service.
    #[must_use]
    pub fn about_service(service: &ServiceRef, reason: Reason, text: impl fmt::Display) -> Self {
        Self::about(service.into(), reason, text)
    }

    /// About the Node that says so.
    #[must_use]
    pub fn about_here(reason: Reason, text: impl fmt::Display) -> Self {
        Self { object: None, reason, text: text.to_string() }
    }
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text.fmt(f)
    }
}

/// Kinds of what can be wrong, by the names that Events have for them. The last three are kube-proxy's own.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Reason {
    /// A field can't be understood; the object's last good state stays in force.
    InvalidObject,
    /// Part of a `NetworkPolicy` or Namespace can't be used, and the rest counts.
    InvalidPolicy,
    /// Another Service has a frontend that this one asks for.
    FrontendConflict,
    /// A Service is served but for one thing that its object asks for.
    PartlyServed,
    /// A table of Services has no room.
    TableFull,
    /// The tables of policies have no room.
    PolicyTableFull,
    /// What an earlier agent left stays until it is known whether something asks for it.
    StateKept,
    /// Node ports have no address to be served on.
    NodePortsNotServed,
    /// The kernel doesn't have everything that changed.
    FailedToSync,
    /// A Service's health check port is taken (rule 8.9).
    FailedToStartServiceHealthcheck,
    /// The address of the health server is taken (rule 8.18).
    FailedToStartProxierHealthcheck,
    /// The address of the metrics server is taken (rule 8.19).
    FailedToStartMetricServer,
}

impl Reason {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::InvalidObject,
        Self::InvalidPolicy,
        Self::FrontendConflict,
        Self::PartlyServed,
        Self::TableFull,
        Self::PolicyTableFull,
        Self::StateKept,
        Self::NodePortsNotServed,
        Self::FailedToSync,
        Self::FailedToStartServiceHealthcheck,
        Self::FailedToStartProxierHealthcheck,
        Self::FailedToStartMetricServer,
    ];

    /// Whether it comes of objects alone, so that every node says the same.
    #[must_use]
    pub const fn is_everywhere(self) -> bool {
        matches!(self, Self::InvalidObject | Self::InvalidPolicy | Self::FrontendConflict | Self::PartlyServed)
    }

    /// What was being done, by kube-proxy's names where it has one.
    #[must_use]
    pub const fn action(self) -> &'static str {
        match self {
            Self::InvalidObject | Self::InvalidPolicy => "Read",
            Self::FailedToStartServiceHealthcheck => "Listen",
            Self::FailedToStartProxierHealthcheck | Self::FailedToStartMetricServer => "StartKubeProxy",
            _ => "Sync",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_is_documented() {
        let docs = include_str!("../../docs/events.md");
        let documented: Vec<_> = docs.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
        let mut known: Vec<_> = Reason::ALL.iter().map(ToString::to_string).collect();
        known.push("Starting".into());
        assert_eq!(documented, known);
    }
}
