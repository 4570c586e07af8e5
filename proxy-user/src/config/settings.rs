//! The keys of the configuration: as flags, and as a file.

use std::path::PathBuf;

use clap::Args;
use serde::{Deserialize, Serialize};

use super::{
    BpfLogLevel, Config, Ignored, LocalRedirect, LogFormat, Mode, ObjectsFrom, PolicyDeny, SocketLb, UnknownPods,
};
use crate::model::PolicyMode;

/// One source of settings, the command line or a file: what it doesn't set is `None`.
#[derive(Clone, PartialEq, Eq, Debug, Default, Args, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Settings {
    /// `apiVersion` of a file.
    #[arg(skip)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_version: Option<ApiVersion>,
    /// `kind` of a file.
    #[arg(skip)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<Kind>,
    /// Name of this machine's Node object [default: the host name]
    #[arg(long, value_name = "NAME")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_name: Option<String>,
    /// Directory of manifests (*.yaml, *.yml, *.json) to read objects from
    #[arg(long, value_name = "DIR")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifests: Option<PathBuf>,
    /// kubeconfig file that says which API server to get objects from, and as whom [default: the service account of the
    /// Pod that this runs in]
    #[arg(long, value_name = "FILE")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kubeconfig: Option<PathBuf>,
    /// What serves: programs in the kernel (ebpf), rules of iptables, or whichever of them this machine can have, programs
    /// first (auto) [default: ebpf]
    #[arg(long, value_name = "MODE")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// Directory on a bpffs for maps and links; agents side by side need one each [default: /sys/fs/bpf/sluice]
    #[arg(long, value_name = "DIR")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bpffs: Option<PathBuf>,
    /// cgroup v2 directory whose processes get socket load balancing [default: the cgroup v2 mount]
    #[arg(long, value_name = "DIR")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cgroup: Option<PathBuf>,
    /// Uplink by name or pattern such as eth*; may be given more than once [default: detected]
    #[arg(long = "device", value_name = "IF")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub devices: Option<Vec<String>>,
    /// Who gets Services translated at the socket, instead of packet by packet [default: on]
    #[arg(long, value_name = "WHO")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub socket_lb: Option<SocketLb>,
    /// Range of the node's addresses that node ports are served on, or primary: the internal address of each family that
    /// its Node object has; may be given more than once [default: all addresses]
    #[arg(long = "nodeport-addresses", value_name = "CIDR", value_delimiter = ',')]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_port_addresses: Option<Vec<String>>,
    /// Serve node ports on loopback addresses too, where --nodeport-addresses let them [default: true]
    #[arg(long = "localhost-nodeports", value_name = "BOOL")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub localhost_node_ports: Option<bool>,
    /// Serve the externalIPs of Services [default: true]
    #[arg(long = "allow-service-external-ips", value_name = "BOOL")]
    #[serde(default, rename = "allowServiceExternalIPs", skip_serializing_if = "Option::is_none")]
    pub allow_service_external_ips: Option<bool>,
    /// What becomes of packets of an address of this node's pods that no Pod is known to have, while there is any
    /// NetworkPolicy [default: hold]
    #[arg(long, value_name = "WHAT")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unknown_pods: Option<UnknownPods>,
    /// Whether what NetworkPolicies deny is denied, or passes and is reported [default: enforce]
    #[arg(long, value_name = "MODE")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy_mode: Option<PolicyMode>,
    /// What becomes of a packet that NetworkPolicies deny: drop, and its sender times out, or reject, and its sender is
    /// told [default: drop]
    #[arg(long, value_name = "HOW")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy_deny: Option<PolicyDeny>,
    /// Hand packets to a pod of this node past the node's stack, and so past its netfilter rules and queueing: not with
    /// hostPorts, another policy engine or limits of bandwidth [default: off]
    #[arg(long, value_name = "WHETHER")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub local_redirect: Option<LocalRedirect>,
    /// IP:port, or IP, of /healthz, /livez and /readyz; empty: off [default: 0.0.0.0:10256]
    #[arg(long, value_name = "ADDRESS")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub healthz_bind_address: Option<String>,
    /// IP:port, or IP, of /metrics; empty: off [default: 127.0.0.1:10249]
    #[arg(long, value_name = "ADDRESS")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metrics_bind_address: Option<String>,
    /// End when health or metrics can't be served there, instead of trying again [default: false]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bind_address_hard_fail: Option<bool>,
    /// How log lines look [default: text]
    #[arg(long, value_name = "FORMAT")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_format: Option<LogFormat>,
    /// Least severe message the kernel programs log; off costs nothing [default: off]
    #[arg(long, value_name = "LEVEL")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bpf_log_level: Option<BpfLogLevel>,
    /// What a kube-proxy was told beside that, and has no meaning here.
    #[arg(skip)]
    #[serde(skip)]
    pub ignored: Vec<Ignored>,
}

/// Version of the file's format.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum ApiVersion {
    /// The one there is.
    #[serde(rename = "sluice.dev/v1alpha1")]
    V1Alpha1,
}

/// Kind of the file.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Kind {
    /// The one there is.
    SluiceConfiguration,
}

impl Settings {
    /// These settings, and those of `fallback` where there is none here. A list is taken whole, never joined. Where objects
    /// come from is one setting: who names a directory of manifests here wants no API server of `fallback`.
    #[must_use]
    pub fn or(mut self, fallback: Self) -> Self {
        let names_objects = self.manifests.is_some() || self.kubeconfig.is_some();
        let (manifests, kubeconfig) =
            if names_objects { (self.manifests, self.kubeconfig) } else { (fallback.manifests, fallback.kubeconfig) };
        self.ignored.extend(fallback.ignored);
        Self {
            api_version: self.api_version.or(fallback.api_version),
            kind: self.kind.or(fallback.kind),
            node_name: self.node_name.or(fallback.node_name),
            manifests,
            kubeconfig,
            mode: self.mode.or(fallback.mode),
            bpffs: self.bpffs.or(fallback.bpffs),
            cgroup: self.cgroup.or(fallback.cgroup),
            devices: self.devices.or(fallback.devices),
            socket_lb: self.socket_lb.or(fallback.socket_lb),
            node_port_addresses: self.node_port_addresses.or(fallback.node_port_addresses),
            localhost_node_ports: self.localhost_node_ports.or(fallback.localhost_node_ports),
            allow_service_external_ips: self.allow_service_external_ips.or(fallback.allow_service_external_ips),
            unknown_pods: self.unknown_pods.or(fallback.unknown_pods),
            policy_mode: self.policy_mode.or(fallback.policy_mode),
            policy_deny: self.policy_deny.or(fallback.policy_deny),
            local_redirect: self.local_redirect.or(fallback.local_redirect),
            healthz_bind_address: self.healthz_bind_address.or(fallback.healthz_bind_address),
            metrics_bind_address: self.metrics_bind_address.or(fallback.metrics_bind_address),
            bind_address_hard_fail: self.bind_address_hard_fail.or(fallback.bind_address_hard_fail),
            log_format: self.log_format.or(fallback.log_format),
            bpf_log_level: self.bpf_log_level.or(fallback.bpf_log_level),
            ignored: self.ignored,
        }
    }
}

impl From<&Config> for Settings {
    fn from(config: &Config) -> Self {
        let (manifests, kubeconfig) = match config.objects.clone() {
            ObjectsFrom::Manifests(path) => (Some(path), None),
            ObjectsFrom::Kubernetes { kubeconfig } => (None, kubeconfig),
        };
        Self {
            api_version: Some(ApiVersion::V1Alpha1),
            kind: Some(Kind::SluiceConfiguration),
            node_name: Some(config.node_name.clone()),
            manifests,
            kubeconfig,
            mode: Some(config.mode),
            bpffs: Some(config.bpffs.clone()),
            cgroup: config.cgroup.clone(),
            devices: Some(config.devices.clone()),
            socket_lb: Some(config.socket_lb),
            node_port_addresses: Some(config.node_port_addresses.to_list()),
            localhost_node_ports: Some(config.localhost_node_ports),
            allow_service_external_ips: Some(config.allow_service_external_ips),
            unknown_pods: Some(config.unknown_pods),
            policy_mode: Some(config.policy_mode),
            policy_deny: Some(config.policy_deny),
            local_redirect: Some(config.local_redirect),
            healthz_bind_address: Some(config.healthz_bind_address.to_string()),
            metrics_bind_address: Some(config.metrics_bind_address.to_string()),
            bind_address_hard_fail: Some(config.bind_address_hard_fail),
            log_format: Some(config.log_format),
            bpf_log_level: Some(config.bpf_log_level),
            ignored: config.ignored.clone(),
        }
    }
}
