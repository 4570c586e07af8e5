//! Labels of the metrics: each has a few values only.

use prometheus_client::encoding::EncodeLabelSet;

use crate::config::Config;

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
pub(super) struct ReasonLabel {
    pub(super) reason: &'static str,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
pub(super) struct TableLabel {
    pub(super) table: &'static str,
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
        Self { node: config.node_name.clone(), mode: "ebpf", socket_lb: config.socket_lb.to_string() }
    }
}

/// `IPv4` or `IPv6`, as kube-proxy labels them.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
pub(super) struct IpFamilyLabel {
    ip_family: &'static str,
}

impl IpFamilyLabel {
    pub(super) const ALL: [Self; 2] = [Self { ip_family: "IPv4" }, Self { ip_family: "IPv6" }];
}
