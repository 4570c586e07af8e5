//! A host of the lab: a network namespace and a cgroup, and what can be run there.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::{Deserialize, Serialize};

use crate::cgroup;
use crate::error::{Doing, Error, Result};
use crate::id::LabId;
use crate::netns;
use crate::process::Process;

/// A node, a pod, the client or the router.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Host {
    lab: LabId,
    name: String,
    cgroup: PathBuf,
    bpffs: Option<PathBuf>,
}

impl Host {
    /// Makes the cgroup of a host whose namespace is there, and leaves its description for other processes.
    pub(crate) fn create(lab: LabId, name: &str, cgroup: PathBuf, bpffs: Option<PathBuf>) -> Result<Self> {
        cgroup::create(&cgroup)?;
        let host = Self { lab, name: name.into(), cgroup, bpffs };
        let path = host.description();
        let json = serde_json::to_vec(&host).expect("a host is strings and a number");
        fs::write(&path, json).doing(|| format!("write {}", path.display()))?;
        Ok(host)
    }

    /// Finds a host of a lab that this or another process made.
    pub fn find(lab: LabId, name: &str) -> Result<Self> {
        let text = fs::read(lab.hosts().join(name)).ok();
        text.and_then(|text| serde_json::from_slice(&text).ok()).ok_or_else(|| Error::Unknown {
            what: "host",
            name: name.into(),
            have: format!("are {}", Self::names(lab).join(", ")),
        })
    }

    /// Names of a lab's hosts, sorted.
    #[must_use]
    pub fn names(lab: LabId) -> Vec<String> {
        let entries = fs::read_dir(lab.hosts()).into_iter().flatten().flatten();
        let mut names: Vec<_> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
        names.sort_unstable();
        names
    }

    /// Its name in the lab.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The lab it is part of.
    #[must_use]
    pub const fn lab(&self) -> LabId {
        self.lab
    }

    /// Name of its network namespace, as `ip netns` lists it.
    #[must_use]
    pub fn netns(&self) -> String {
        self.lab.netns(&self.name)
    }

    /// The cgroup of the programs that are run on it.
    #[must_use]
    pub fn cgroup(&self) -> &Path {
        &self.cgroup
    }

    /// Mount point of a node's own bpffs.
    #[must_use]
    pub fn bpffs(&self) -> Option<&Path> {
        self.bpffs.as_deref()
    }

    /// A command that starts in this host's network namespace and cgroup.
    pub fn command(&self, program: impl AsRef<Path>) -> Result<Command> {
        let mut command = Command::new(program.as_ref());
        netns::enter(&mut command, &self.netns(), Some(&self.cgroup))?;
        Ok(command)
    }

    /// Runs a command to its end and returns its standard output.
    pub fn run(&self, arguments: &[&str]) -> Result<String> {
        let (program, rest) = arguments.split_first().expect("a command has a name");
        let text = arguments.join(" ");
        let output = self.command(program)?.args(rest).stdin(Stdio::null()).output();
        let output = output.doing(|| format!("run `{text}` on {self}"))?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        Err(Error::Command { command: text, place: netns::place(&self.netns()), status: output.status, stderr })
    }

    /// Starts a program that runs until the returned handle is dropped; its output goes to a log.
    pub fn spawn(&self, name: &str, program: impl AsRef<Path>, arguments: &[String]) -> Result<Process> {
        let mut command = self.command(program)?;
        command.args(arguments);
        Process::start(self, name, command)
    }

    /// Runs `work` on a thread in this host's network namespace; its cgroup stays this process's, so sockets made there
    /// don't pass the host's socket programs.
    pub fn inside<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T> {
        netns::inside(&self.netns(), work)
    }

    /// Sets a device's MTU in bytes.
    pub fn set_mtu(&self, device: &str, bytes: u32) -> Result<()> {
        self.run(&["ip", "link", "set", device, "mtu", &bytes.to_string()]).map(drop)
    }

    pub(crate) fn description(&self) -> PathBuf {
        self.lab.hosts().join(&self.name)
    }
}

impl fmt::Display for Host {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.name)
    }
}
