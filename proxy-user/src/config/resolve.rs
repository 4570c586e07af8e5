//! From settings to a configuration: defaults, and what can't be is refused.

use std::path::PathBuf;

use glob::Pattern;

use super::{BindAddress, Config, ConfigError, Mode, ObjectsFrom, Settings, SocketLb};
use crate::model::{NodePortAddresses, NotNodePortAddresses};
use crate::mounts;

/// kube-proxy's port for health.
const HEALTHZ_PORT: u16 = 10256;
/// kube-proxy's port for metrics.
const METRICS_PORT: u16 = 10249;
/// Where maps and links are pinned unless told otherwise.
pub(crate) const DEFAULT_BPFFS: &str = "/sys/fs/bpf/sluice";
/// What a bind address may be.
const BIND_ADDRESS: &str = "is not a bind address: give IP:port, [IPv6]:port, an IP alone, or nothing to switch it off";

impl Settings {
    /// The configuration these settings make, with the defaults of this machine.
    pub fn resolve(self) -> Result<Config, ConfigError> {
        let socket_lb = self.socket_lb.unwrap_or_default();
        let mode = self.mode.unwrap_or_default();
        Ok(Config {
            node_name: node_name(self.node_name)?,
            objects: objects(self.manifests, self.kubeconfig)?,
            mode,
            picked: None,
            bpffs: bpffs(self.bpffs)?,
            cgroup: cgroup(self.cgroup, mode == Mode::Ebpf && socket_lb != SocketLb::Off)?,
            devices: devices(self.devices)?,
            socket_lb,
            node_port_addresses: node_port_addresses(&self.node_port_addresses.unwrap_or_default())?,
            localhost_node_ports: self.localhost_node_ports.unwrap_or(true),
            allow_service_external_ips: self.allow_service_external_ips.unwrap_or(true),
            unknown_pods: self.unknown_pods.unwrap_or_default(),
            policy_mode: self.policy_mode.unwrap_or_default(),
            policy_deny: self.policy_deny.unwrap_or_default(),
            local_redirect: self.local_redirect.unwrap_or_default(),
            healthz_bind_address: bind_address(
                "healthzBindAddress",
                "--healthz-bind-address",
                self.healthz_bind_address.as_deref().unwrap_or("0.0.0.0"),
                HEALTHZ_PORT,
            )?,
            metrics_bind_address: bind_address(
                "metricsBindAddress",
                "--metrics-bind-address",
                self.metrics_bind_address.as_deref().unwrap_or("127.0.0.1"),
                METRICS_PORT,
            )?,
            bind_address_hard_fail: self.bind_address_hard_fail.unwrap_or(false),
            log_format: self.log_format.unwrap_or_default(),
            bpf_log_level: self.bpf_log_level.unwrap_or_default(),
            ignored: self.ignored,
        })
    }
}

/// kube-proxy's rule: the host name unless one is given, trimmed, in lower case, never empty.
fn node_name(given: Option<String>) -> Result<String, ConfigError> {
    let name = given.unwrap_or_else(|| rustix::system::uname().nodename().to_string_lossy().into_owned());
    let trimmed = name.trim().to_lowercase();
    if trimmed.is_empty() {
        let expected = "is empty: give the name of this machine's Node object";
        return Err(ConfigError::Invalid { key: "nodeName", flag: "--node-name", value: name, expected });
    }
    Ok(trimmed)
}

/// A directory of manifests is for machines without an API server, so it can't be given beside one.
fn objects(manifests: Option<PathBuf>, kubeconfig: Option<PathBuf>) -> Result<ObjectsFrom, ConfigError> {
    let given = |path: Option<PathBuf>| path.filter(|path| !path.as_os_str().is_empty());
    match (given(manifests), given(kubeconfig)) {
        (Some(manifests), Some(_)) => Err(ConfigError::Invalid {
            key: "manifests",
            flag: "--manifests",
            value: manifests.display().to_string(),
            expected: "is given beside a kubeconfig (flag --kubeconfig): objects come from one of them, give one",
        }),
        (Some(manifests), None) => Ok(ObjectsFrom::Manifests(manifests)),
        (None, kubeconfig) => Ok(ObjectsFrom::Kubernetes { kubeconfig }),
    }
}

/// Absolute, because an agent and a command line that name one directory must mean the same one.
fn bpffs(given: Option<PathBuf>) -> Result<PathBuf, ConfigError> {
    let given = given.unwrap_or_else(|| DEFAULT_BPFFS.into());
    std::path::absolute(&given).map_err(|_| ConfigError::Invalid {
        key: "bpffs",
        flag: "--bpffs",
        value: given.display().to_string(),
        expected: "is not a path: give a directory on a bpffs, such as /sys/fs/bpf/sluice",
    })
}

fn cgroup(given: Option<PathBuf>, is_needed: bool) -> Result<Option<PathBuf>, ConfigError> {
    let found = given.or_else(mounts::cgroup2);
    if found.is_none() && is_needed {
        let hint = "no cgroup v2 is mounted here; mount one (mount -t cgroup2 none DIR) or use --socket-lb off or --mode iptables";
        return Err(ConfigError::Missing { key: "cgroup", flag: "--cgroup", hint });
    }
    if let Some(path) = found.as_deref().filter(|path| !path.is_dir()) {
        let expected = "is not a directory: give a cgroup v2 directory";
        let value = path.display().to_string();
        return Err(ConfigError::Invalid { key: "cgroup", flag: "--cgroup", value, expected });
    }
    Ok(found)
}

fn devices(given: Option<Vec<String>>) -> Result<Vec<String>, ConfigError> {
    let devices = given.unwrap_or_default();
    // The kernel's rule for interface names: at most 15 bytes, no slash and no white space.
    let bad = |name: &&String| {
        name.is_empty() || name.len() > 15 || name.contains(['/', ' ', '\t', '\n']) || Pattern::new(name).is_err()
    };
    match devices.iter().find(bad) {
        None => Ok(devices),
        Some(name) => Err(ConfigError::Invalid {
            key: "devices",
            flag: "--device",
            value: name.clone(),
            expected: "is not an interface name or pattern such as eth*: at most 15 characters, no slash, no space, brackets closed",
        }),
    }
}

fn node_port_addresses(given: &[String]) -> Result<NodePortAddresses, ConfigError> {
    NodePortAddresses::parse(given).map_err(|problem| {
        let (value, expected) = match problem {
            NotNodePortAddresses::NotARange(text) => {
                (text, "is not a range of addresses: give such as 192.0.2.0/24 or 2001:db8::/64, or primary alone")
            }
            NotNodePortAddresses::Mixed => {
                (given.join(","), "has primary beside ranges: give primary alone, or ranges alone")
            }
        };
        ConfigError::Invalid { key: "nodePortAddresses", flag: "--nodeport-addresses", value, expected }
    })
}

fn bind_address(key: &'static str, flag: &'static str, text: &str, port: u16) -> Result<BindAddress, ConfigError> {
    let invalid = || ConfigError::Invalid { key, flag, value: text.into(), expected: BIND_ADDRESS };
    BindAddress::parse(text, port).ok_or_else(invalid)
}
