//! The agent's configuration: what its flags and its file say, with the defaults filled in.
//!
//! Every flag of `sluice agent` is a key of the file too; a flag wins over the file, and the file over the default.
//! A key we don't know is an error: a misspelt key that is silently ignored is a setting that silently isn't in force.

mod bind_address;
mod error;
mod file;
mod kube_proxy;
mod mode;
mod resolve;
mod settings;
mod sources;

use std::fmt;
use std::path::PathBuf;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

pub use bind_address::BindAddress;
pub use error::ConfigError;
pub use kube_proxy::{Ignored, KubeProxyFlags};
pub use mode::{DataplaneMode, Mode, Picked};
pub(crate) use resolve::DEFAULT_BPFFS;
pub use settings::Settings;
pub use sources::Sources;

use crate::model::{NodePortAddresses, PolicyMode};

/// API group of the configuration.
pub(crate) const GROUP: &str = "sluice.dev";

/// What the agent works by.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Config {
    /// Name of the Node object this machine is; lower case.
    pub node_name: String,
    /// Where objects come from.
    pub objects: ObjectsFrom,
    /// The dataplane that is asked for.
    pub mode: Mode,
    /// What that came to, where it leaves a choice; `None` before the machine was looked at.
    pub picked: Option<Picked>,
    /// Directory on a bpffs below which maps and links are pinned; absolute.
    pub bpffs: PathBuf,
    /// The cgroup v2 directory whose processes get socket load balancing; `None` only where [`SocketLb::Off`], or
    /// where programs need not run.
    pub cgroup: Option<PathBuf>,
    /// Uplinks, by name or pattern (`eth*`); empty: detected.
    pub devices: Vec<String>,
    /// Who gets Services translated at the socket.
    pub socket_lb: SocketLb,
    /// Where node ports are served.
    pub node_port_addresses: NodePortAddresses,
    /// Node ports are served on `127.0.0.1` and `::1` too, where [`Config::node_port_addresses`] let them.
    pub localhost_node_ports: bool,
    /// `externalIPs` of Services are served.
    pub allow_service_external_ips: bool,
    /// What becomes of packets of an address of this node's pods that no Pod is known to have.
    pub unknown_pods: UnknownPods,
    /// Whether what policies deny is denied, unless an object says so itself.
    pub policy_mode: PolicyMode,
    /// What becomes of a packet that policies deny.
    pub policy_deny: PolicyDeny,
    /// Whether packets between pods of this node go past the node's stack.
    pub local_redirect: LocalRedirect,
    /// Where health is served.
    pub healthz_bind_address: BindAddress,
    /// Where metrics are served.
    pub metrics_bind_address: BindAddress,
    /// Whether the agent ends when health or metrics can't be served there.
    pub bind_address_hard_fail: bool,
    /// How log lines look.
    pub log_format: LogFormat,
    /// What the kernel programs log.
    pub bpf_log_level: BpfLogLevel,
    /// What a kube-proxy was told, and has no meaning here.
    pub ignored: Vec<Ignored>,
}

impl Config {
    /// The configuration as a file that gives the same again, `apiVersion` and `kind` included; what is ignored is named
    /// in comments.
    #[must_use]
    pub fn to_yaml(&self) -> String {
        let ignored =
            self.ignored.iter().map(|ignored| format!("# ignored: {}\n", ignored.to_string().replace('\n', " ")));
        ignored.chain([file::print(&Settings::from(self))]).collect()
    }

    /// The same as JSON.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        #[expect(clippy::expect_used, reason = "strings, lists and unit variants always have a JSON form")]
        serde_json::to_value(Settings::from(self)).expect("settings hold only strings, lists of strings and names")
    }
}

/// Where objects come from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ObjectsFrom {
    /// A directory of manifests.
    Manifests(PathBuf),
    /// The API server that a kubeconfig names; without one, that of the cluster in a Pod of which the agent runs.
    Kubernetes {
        /// The kubeconfig.
        kubeconfig: Option<PathBuf>,
    },
}

impl ObjectsFrom {
    /// Whether they come from an API server.
    #[must_use]
    pub const fn is_api_server(&self) -> bool {
        matches!(self, Self::Kubernetes { .. })
    }
}

impl fmt::Display for ObjectsFrom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Manifests(path) => write!(f, "manifests in {}", path.display()),
            Self::Kubernetes { kubeconfig: Some(path) } => write!(f, "the API server of {}", path.display()),
            Self::Kubernetes { kubeconfig: None } => f.write_str("the API server of this cluster"),
        }
    }
}

/// Who gets Services translated at the socket.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum SocketLb {
    /// The node's own programs and its pods.
    #[default]
    On,
    /// The node's own programs only; pods are served packet by packet.
    Host,
    /// Nobody: everything is served packet by packet.
    Off,
}

/// What becomes of packets of an address of this node's pods that no Pod is known to have.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum UnknownPods {
    /// They are dropped, while the cluster has any policy.
    #[default]
    Hold,
    /// They pass.
    Allow,
}

/// What becomes of a packet that policies deny.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum PolicyDeny {
    /// It is dropped, and nobody is told: its sender times out.
    #[default]
    Drop,
    /// Its sender is told.
    Reject,
}

/// Whether packets between pods of this node, and from outside to one, are handed to the pod's interface past the node's
/// stack and past what else is at that interface.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum LocalRedirect {
    /// They go through it, as direct ones do.
    #[default]
    Off,
    /// They go past it.
    On,
}

/// How log lines look.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// The least severe message the kernel programs log. Off costs nothing: the verifier removes the calls.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum BpfLogLevel {
    /// Nothing.
    #[default]
    Off,
    /// What must not happen.
    Error,
    /// Packets that can't be served.
    Warn,
    /// New flows.
    Info,
    /// Each decision.
    Debug,
    /// Each packet.
    Trace,
}

impl fmt::Display for SocketLb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::On => "on",
            Self::Host => "host",
            Self::Off => "off",
        })
    }
}

#[cfg(test)]
mod tests;
