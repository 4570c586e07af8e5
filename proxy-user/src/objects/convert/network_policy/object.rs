//! NetworkPolicy as manifests have it: the API's type, each part of which may be wrong without costing the others.

use k8s_openapi::api::networking::v1::{NetworkPolicyPeer, NetworkPolicyPort};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use serde::Deserialize;

use crate::objects::convert::strict::Strict;

/// A list of which each entry may be wrong.
pub(super) type List<T> = Strict<Vec<Strict<T>>>;

/// A NetworkPolicy (networking.k8s.io/v1).
#[derive(Debug, Deserialize)]
pub(in crate::objects) struct ApiNetworkPolicy {
    #[serde(default)]
    pub(super) metadata: ObjectMeta,
    pub(super) spec: Option<Strict<Spec>>,
}

/// `spec`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Spec {
    pub(super) pod_selector: Option<Strict<LabelSelector>>,
    pub(super) policy_types: Option<Strict<Vec<String>>>,
    pub(super) ingress: Option<List<IngressRule>>,
    pub(super) egress: Option<List<EgressRule>>,
}

/// An entry of `spec.ingress`.
#[derive(Debug, Deserialize)]
pub(super) struct IngressRule {
    pub(super) from: Option<List<NetworkPolicyPeer>>,
    pub(super) ports: Option<List<NetworkPolicyPort>>,
}

/// An entry of `spec.egress`.
#[derive(Debug, Deserialize)]
pub(super) struct EgressRule {
    pub(super) to: Option<List<NetworkPolicyPeer>>,
    pub(super) ports: Option<List<NetworkPolicyPort>>,
}
