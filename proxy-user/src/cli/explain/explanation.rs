//! What is told of a connection: the fields of `-o json`.

use serde::Serialize;

use crate::cli::get::affinity::State as AffinityState;
use crate::cli::names::{FrontendType, PortName};
use crate::cli::policies::{PolicyRef, RuleRef};

/// What becomes of a connection.
#[derive(Serialize, PartialEq, Debug)]
#[serde(rename_all = "camelCase")]
pub(super) struct Explanation {
    pub(super) client: ClientEnd,
    /// `IP:port`.
    pub(super) destination: String,
    pub(super) protocol: &'static str,
    pub(super) verdict: Verdict,
    /// Why it isn't translated, as `get drops` counts it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<&'static str>,
    /// The verdict for people, with what may be done about it.
    pub(super) message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) service: Option<ServicePort>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) translation: Option<Translation>,
    /// Those that may be chosen.
    pub(super) endpoints: Vec<Endpoint>,
    /// The flow from the source port that was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) flow: Option<FlowNow>,
    /// What NetworkPolicy makes of it, at each place that it may get to.
    pub(super) policy: Vec<PolicyVerdict>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub(super) enum Verdict {
    Translated,
    /// The client is told at once.
    Refused,
    /// In silence.
    Dropped,
    NotTranslated,
}

#[derive(Serialize, PartialEq, Eq, Debug)]
#[serde(rename_all = "camelCase")]
pub(super) struct ClientEnd {
    pub(super) address: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) pod: Option<String>,
    /// `Pod` of this node, `Node` or `Outside`.
    pub(super) place: &'static str,
    pub(super) because: String,
}

#[derive(Serialize, PartialEq, Eq, Debug)]
#[serde(rename_all = "camelCase")]
pub(super) struct ServicePort {
    #[serde(flatten)]
    pub(super) name: PortName,
    pub(super) frontend_type: FrontendType,
    /// `IP:port`, or `*:port` for a node port.
    pub(super) frontend: String,
    /// `Cluster` or `Local`.
    pub(super) endpoint_set: &'static str,
    pub(super) because: Vec<String>,
    /// `loadBalancerSourceRanges`, where the frontend has them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) source_ranges: Option<SourceRanges>,
    /// Where the Service has session affinity.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) affinity: Option<Affinity>,
}

#[derive(Serialize, PartialEq, Eq, Debug)]
#[serde(rename_all = "camelCase")]
pub(super) struct SourceRanges {
    pub(super) ranges: Vec<String>,
    pub(super) has_client: bool,
}

#[derive(Serialize, PartialEq, Eq, Debug)]
#[serde(rename_all = "camelCase")]
pub(super) struct Affinity {
    pub(super) timeout_seconds: u32,
    /// What the client was last bound to; absent where it never was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) last: Option<Bound>,
}

#[derive(Serialize, PartialEq, Eq, Debug)]
#[serde(rename_all = "camelCase")]
pub(super) struct Bound {
    /// `IP:port`.
    pub(super) endpoint: String,
    pub(super) idle_seconds: u32,
    pub(super) state: AffinityState,
}

#[derive(Serialize, PartialEq, Eq, Debug)]
#[serde(rename_all = "camelCase")]
pub(super) struct Translation {
    /// `socket` or `packet`.
    pub(super) at: &'static str,
    /// The kernel programs.
    pub(super) hook: &'static str,
    pub(super) because: &'static str,
}

#[derive(Serialize, PartialEq, Debug)]
#[serde(rename_all = "camelCase")]
pub(super) struct Endpoint {
    /// `IP:port`: what the destination becomes.
    pub(super) address: String,
    pub(super) local: bool,
    /// Of a hundred new connections.
    pub(super) percent: f64,
    /// The address it sees as the client's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) source: Option<String>,
    pub(super) because: &'static str,
    /// Why a packet doesn't get there all the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<&'static str>,
}

#[derive(Serialize, PartialEq, Eq, Debug)]
#[serde(rename_all = "camelCase")]
pub(super) struct FlowNow {
    /// `IP:port`.
    pub(super) endpoint: String,
    pub(super) state: &'static str,
    pub(super) idle_seconds: u32,
    pub(super) message: &'static str,
}

/// What NetworkPolicy makes of a connection that gets to `destination`.
#[derive(Serialize, PartialEq, Eq, Debug)]
#[serde(rename_all = "camelCase")]
pub(super) struct PolicyVerdict {
    /// `IP:port`.
    pub(super) destination: String,
    /// `namespace/name` of the Pod of this node that has the address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) pod: Option<String>,
    pub(super) verdict: PolicyDecision,
    /// Why it doesn't pass, as `get drops` counts it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<&'static str>,
    pub(super) message: &'static str,
    /// What the source may send.
    pub(super) egress: Side,
    /// What the destination may get.
    pub(super) ingress: Side,
}

/// A verdict of NetworkPolicy.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub(super) enum PolicyDecision {
    Allowed,
    /// It passes, as what would deny it is audited only.
    Audited,
    Denied,
}

/// What one direction makes of it.
#[derive(Serialize, PartialEq, Eq, Debug)]
#[serde(rename_all = "camelCase")]
pub(super) struct Side {
    pub(super) decision: SideDecision,
    pub(super) because: String,
    /// Those that isolate it.
    pub(super) policies: Vec<PolicyRef>,
    /// All of those are audited only.
    pub(super) audit: bool,
    /// The one that allows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) rule: Option<RuleRef>,
    /// Where no rule allows it.
    #[serde(flatten)]
    pub(super) nearest: Nearest,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub(super) enum SideDecision {
    /// By a rule.
    Allowed,
    /// No policy isolates the pod in this direction.
    NotIsolated,
    /// Whatever the policies say.
    Exempt,
    Denied,
    /// Not by a rule, but what would deny it is audited only.
    Audited,
    /// An end is one of this node's pod addresses, and no pod is known to have it.
    Held,
    /// It is no pod of this node.
    Elsewhere,
}

/// The rules that come nearest to allowing it.
#[derive(Serialize, PartialEq, Eq, Debug, Default)]
#[serde(rename_all = "camelCase")]
pub(super) struct Nearest {
    #[serde(rename = "nearest")]
    pub(super) rules: Vec<Near>,
    /// How many more there are.
    #[serde(rename = "otherRules")]
    pub(super) others: usize,
}

/// A rule, and what it allows of what is asked.
#[derive(Serialize, PartialEq, Eq, Debug)]
pub(super) struct Near {
    #[serde(flatten)]
    pub(super) rule: RuleRef,
    pub(super) message: String,
}
