//! What a running agent tells the command line about itself: `status.json` in a directory of `/run/sluice`.
//!
//! The directory is named after the `--bpffs` directory, so agents side by side have one each. A running agent holds a
//! lock there: the kernel releases it however the agent ends, so a status left by a dead one isn't taken for a living.

use std::fmt;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::net::IpAddr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::config::{Config, DataplaneMode, Ignored, PolicyDeny, SocketLb};
use crate::objects::kubernetes::Connection;

/// Where the status of every agent of this machine is.
const RUN: &str = "/run/sluice";

/// What an agent tells about itself. The tables, links and drops are read from the kernel instead, which also knows
/// them when no agent runs.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AgentStatus {
    /// Version of the agent.
    pub version: String,
    /// Its process.
    pub pid: u32,
    /// When it started.
    pub started_at: Timestamp,
    /// Name of the Node it works for.
    pub node_name: String,
    /// The configuration in force, as a file of it has it; null from an agent that didn't tell yet.
    #[serde(default)]
    pub configuration: serde_json::Value,
    /// The dataplane: `ebpf` or `iptables`.
    pub mode: DataplaneMode,
    /// Why it, where the configuration left the choice to the agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode_reason: Option<String>,
    /// Who gets Services translated at the socket.
    pub socket_lb: SocketLb,
    /// What becomes of a packet that policies deny.
    #[serde(default)]
    pub policy_deny: PolicyDeny,
    /// Where it gets objects from, for people.
    pub objects: String,
    /// How the API server is doing; `None` where objects come from manifests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_server: Option<Connection>,
    /// What of a configuration that changed meanwhile is not in force, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_in_force: Vec<String>,
    /// Connections to Services that another proxy began and the kernel's conntrack translates.
    #[serde(default)]
    pub taking_over: u64,
    /// Settings of a kube-proxy's that have no meaning here, each with the reason.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ignored: Vec<Ignored>,
    /// The cgroup its socket programs are attached to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cgroup: Option<PathBuf>,
    /// The first full state is in the kernel.
    pub ready: bool,
    /// When the kernel last got all that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_synced_at: Option<Timestamp>,
    /// Interfaces it works on.
    pub devices: Vec<DeviceStatus>,
    /// Interfaces it leaves alone.
    #[serde(default)]
    pub other_devices: Vec<DeviceStatus>,
    /// Pods of this node, as the objects have them.
    #[serde(default)]
    pub pods: Vec<PodStatus>,
    /// NetworkPolicy on this node.
    #[serde(default)]
    pub policy: PolicyStatus,
    /// What is wrong with objects now, each with file, document, object and field.
    pub errors: Vec<String>,
}

impl AgentStatus {
    /// The status of this process as an agent that starts now: not ready, without devices.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION").into(),
            pid: std::process::id(),
            started_at: Timestamp::now(),
            node_name: config.node_name.clone(),
            configuration: config.to_json(),
            mode: config.dataplane(),
            mode_reason: config.picked.as_ref().map(|picked| picked.reason.clone()),
            socket_lb: config.socket_lb,
            policy_deny: config.policy_deny,
            objects: config.objects.to_string(),
            api_server: None,
            not_in_force: Vec::new(),
            taking_over: 0,
            ignored: config.ignored.clone(),
            cgroup: config.cgroup.clone(),
            ready: false,
            last_synced_at: None,
            devices: Vec::new(),
            other_devices: Vec::new(),
            pods: Vec::new(),
            policy: PolicyStatus::default(),
            errors: Vec::new(),
        }
    }

    /// The Pod of this node that has an address.
    #[must_use]
    pub fn pod_at(&self, ip: IpAddr) -> Option<&PodStatus> {
        self.pods.iter().find(|pod| pod.ips.contains(&ip))
    }

    /// Name of an interface the agent works on.
    #[must_use]
    pub fn device(&self, ifindex: u32) -> Option<&str> {
        self.devices.iter().find(|device| device.ifindex == ifindex).map(|device| device.name.as_str())
    }
}

/// An interface of the node.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeviceStatus {
    /// Name.
    pub name: String,
    /// Index.
    pub ifindex: u32,
    /// `Pod`, `Uplink` or `Loopback`; `Other` for one that the agent leaves alone.
    pub role: String,
    /// What the role was decided by, for people.
    #[serde(default)]
    pub why: String,
}

/// A Pod of this node.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PodStatus {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// Addresses, one of a family at most.
    pub ips: Vec<IpAddr>,
}

/// NetworkPolicy on a node.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PolicyStatus {
    /// NetworkPolicies there are.
    pub policies: usize,
    /// Pods of this node that some of them isolates.
    pub policed_pods: usize,
    /// The generation that packets are judged in: it grows with every change of what policies make of addresses.
    pub generation: u32,
    /// Addresses behind interfaces that no Pod is known to have yet, and that are held for that.
    pub held: Vec<HeldStatus>,
    /// Pods of this node of which an address is at no interface yet: nobody is kept from using it.
    pub unbound: Vec<PodStatus>,
}

/// An address that is held.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HeldStatus {
    /// The address.
    pub ip: IpAddr,
    /// Name of the interface that it is behind.
    pub device: String,
}

impl fmt::Display for HeldStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.ip, self.device)
    }
}

impl fmt::Display for PodStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// Why the status can't be written or read.
#[derive(Debug, thiserror::Error)]
pub enum StatusError {
    /// Another agent works on the same directory.
    #[error("another agent works on {}; stop it first, or name another directory with --bpffs", bpffs.display())]
    Locked {
        /// The `--bpffs` directory of both.
        bpffs: PathBuf,
    },
    /// A file can't be made, read or written.
    #[error("{}: {source}; the agent's status lives there and takes root", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// The kernel's answer.
        source: io::Error,
    },
    /// The status is none that this build understands.
    #[error("{}: {source}; it was written by an agent of another version: take its sluice", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// Where it differs.
        source: serde_json::Error,
    },
}

/// A running agent's hold on the status of its `--bpffs` directory; released when dropped or when the process ends.
#[derive(Debug)]
pub struct Publisher {
    directory: PathBuf,
    _lock: File,
}

impl Publisher {
    /// Takes the lock for `bpffs`; [`StatusError::Locked`] where another agent holds it.
    pub fn open(bpffs: &Path) -> Result<Self, StatusError> {
        let directory = directory(bpffs);
        fs::create_dir_all(&directory).map_err(io_error(&directory))?;
        let lock = open_lock(&directory, true)?;
        // A reader takes the lock for an instant to see whether it is free: such a one is waited for.
        for _ in 0..20 {
            match lock.try_lock() {
                Ok(()) => return Ok(Self { directory, _lock: lock }),
                Err(TryLockError::WouldBlock) => thread::sleep(Duration::from_millis(10)),
                Err(TryLockError::Error(source)) => return Err(io_error(&directory)(source)),
            }
        }
        Err(StatusError::Locked { bpffs: bpffs.into() })
    }

    /// Replaces the status as a whole: a reader sees the old or the new one.
    pub fn publish(&self, status: &AgentStatus) -> Result<(), StatusError> {
        let (path, next) = (self.directory.join("status.json"), self.directory.join("status.json.next"));
        let text =
            serde_json::to_vec_pretty(status).map_err(|source| StatusError::Format { path: path.clone(), source })?;
        let written = File::create(&next).and_then(|mut file| file.write_all(&text));
        written.and_then(|()| fs::rename(&next, &path)).map_err(io_error(&path))
    }

    /// Removes the status and its directory, for a clean-up.
    pub fn remove(self) -> Result<(), StatusError> {
        fs::remove_dir_all(&self.directory).map_err(io_error(&self.directory))
    }
}

/// The agent of a `--bpffs` directory, as far as can be told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Agent {
    /// None ever ran since boot, or it was cleaned up.
    Unknown,
    /// None runs; the last one left this, unless it ended before its first status.
    Dead(Option<AgentStatus>),
    /// One runs; it has no status before it first publishes one.
    Alive(Option<AgentStatus>),
}

impl Agent {
    /// Reads the status of the agent of `bpffs`.
    pub fn read(bpffs: &Path) -> Result<Self, StatusError> {
        let directory = directory(bpffs);
        if !directory.exists() {
            return Ok(Self::Unknown);
        }
        let alive = match open_lock(&directory, false)?.try_lock_shared() {
            Ok(()) => false,
            Err(TryLockError::WouldBlock) => true,
            Err(TryLockError::Error(source)) => return Err(io_error(&directory)(source)),
        };
        let status = read_status(&directory)?;
        Ok(if alive { Self::Alive(status) } else { Self::Dead(status) })
    }

    /// What it told last, whether it runs or not.
    #[must_use]
    pub fn status(self) -> Option<AgentStatus> {
        match self {
            Self::Unknown => None,
            Self::Dead(status) | Self::Alive(status) => status,
        }
    }
}

/// Where the agent of `bpffs` lets in those who listen to it.
#[must_use]
pub fn monitor_socket(bpffs: &Path) -> PathBuf {
    directory(bpffs).join("monitor.sock")
}

fn read_status(directory: &Path) -> Result<Option<AgentStatus>, StatusError> {
    let path = directory.join("status.json");
    match fs::read(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        text => {
            let text = text.map_err(io_error(&path))?;
            serde_json::from_slice(&text).map(Some).map_err(|source| StatusError::Format { path, source })
        }
    }
}

fn open_lock(directory: &Path, create: bool) -> Result<File, StatusError> {
    let path = directory.join("lock");
    OpenOptions::new().read(true).write(create).create(create).truncate(false).open(&path).map_err(io_error(&path))
}

fn io_error(path: &Path) -> impl Fn(io::Error) -> StatusError + use<'_> {
    move |source| StatusError::Io { path: path.into(), source }
}

/// Named as `systemd-escape --path` names units: `/sys/fs/bpf/sluice` is `sys-fs-bpf-sluice`.
fn directory(bpffs: &Path) -> PathBuf {
    let absolute = std::path::absolute(bpffs).unwrap_or_else(|_| bpffs.into());
    let parts = absolute.iter().filter(|part| part.as_bytes() != b"/");
    let names: Vec<String> = parts.map(|part| part.as_bytes().iter().copied().map(escape).collect()).collect();
    Path::new(RUN).join(names.join("-"))
}

fn escape(byte: u8) -> String {
    if byte.is_ascii_alphanumeric() || b"_.:".contains(&byte) {
        char::from(byte).to_string()
    } else {
        format!("\\x{byte:02x}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Settings;

    fn bpffs() -> PathBuf {
        let scratch = tempfile::tempdir().unwrap();
        scratch.path().join("bpf")
    }

    fn status(node_name: &str) -> AgentStatus {
        let settings =
            Settings { manifests: Some("/m".into()), node_name: Some(node_name.into()), ..Settings::default() };
        AgentStatus::new(&settings.resolve().unwrap())
    }

    #[test]
    fn a_status_is_alive_while_its_agent_holds_the_lock_and_dead_after() {
        let bpffs = bpffs();
        assert_eq!(Agent::read(&bpffs).unwrap(), Agent::Unknown);
        let agent = Publisher::open(&bpffs).unwrap();
        assert_eq!(Agent::read(&bpffs).unwrap(), Agent::Alive(None));
        agent.publish(&status("a")).unwrap();
        let newer = status("b");
        agent.publish(&newer).unwrap();
        assert_eq!(Agent::read(&bpffs).unwrap(), Agent::Alive(Some(newer.clone())));
        drop(agent);
        assert_eq!(Agent::read(&bpffs).unwrap(), Agent::Dead(Some(newer)));
        Publisher::open(&bpffs).unwrap().remove().unwrap();
        assert_eq!(Agent::read(&bpffs).unwrap(), Agent::Unknown);
    }

    #[test]
    fn a_second_agent_on_the_same_directory_is_refused_and_one_beside_it_is_not() {
        let (bpffs, beside) = (bpffs(), bpffs());
        let first = Publisher::open(&bpffs).unwrap();
        let error = Publisher::open(&bpffs).unwrap_err();
        assert!(matches!(error, StatusError::Locked { .. }), "{error}");
        Publisher::open(&beside).unwrap().remove().unwrap();
        first.remove().unwrap();
    }

    #[test]
    fn different_directories_never_share_a_status() {
        let name = |path: &str| directory(path.as_ref());
        assert_eq!(name("/sys/fs/bpf/sluice"), Path::new("/run/sluice/sys-fs-bpf-sluice"));
        assert_eq!(name("/sys/fs/bpf/sluice/"), name("/sys/fs/bpf//sluice"));
        assert_ne!(name("/a/b"), name("/a-b"));
    }
}
