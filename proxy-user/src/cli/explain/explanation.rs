//! What is told of a connection: the fields of `-o json`.

use serde::Serialize;

use crate::cli::get::affinity::State as AffinityState;
use crate::cli::names::{FrontendType, PortName};

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
