//! Labels of the metrics: each has a few values only, but for those that are names of NetworkPolicies.

use prometheus_client::encoding::EncodeLabelSet;

use proxy_common::addr::Family;

use crate::config::Config;

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
pub(super) struct ReasonLabel {
    pub(super) reason: &'static str,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
pub(super) struct TableLabel {
    pub(super) table: &'static str,
}

/// A direction of a NetworkPolicy.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, EncodeLabelSet)]
pub struct PolicyLabels {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// `ingress` or `egress`.
    pub direction: &'static str,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
pub(super) struct Code {
    pub(super) code: u16,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
pub(super) struct BuildLabels {
    pub(super) version: &'static str,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
pub(super) struct AgentLabels {
    node: String,
    mode: &'static str,
    socket_lb: String,
}

impl From<&Config> for AgentLabels {
    fn from(config: &Config) -> Self {
        Self {
            node: config.node_name.clone(),
            mode: config.dataplane().name(),
            socket_lb: config.socket_lb.to_string(),
        }
    }
}

/// `IPv4` or `IPv6`, as kube-proxy labels them.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
pub(super) struct IpFamilyLabel {
    pub(super) ip_family: &'static str,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
pub(super) struct TrafficPolicyLabel {
    /// `internal` or `external`.
    pub(super) traffic_policy: &'static str,
    pub(super) ip_family: &'static str,
}

impl From<Family> for IpFamilyLabel {
    fn from(family: Family) -> Self {
        match family {
            Family::V4 => Self { ip_family: "IPv4" },
            Family::V6 => Self { ip_family: "IPv6" },
        }
    }
}

impl IpFamilyLabel {
    pub(super) const ALL: [Self; 2] = [Self { ip_family: "IPv4" }, Self { ip_family: "IPv6" }];
}
