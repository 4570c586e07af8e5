//! The number of a lab, and the names of all it owns: whatever carries the number goes when the lab goes.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::cgroup;
use crate::error::Result;

/// Directory that holds a directory for each lab.
pub(crate) const LABS: &str = "/run/sluice-lab";

/// Number of a lab on this machine.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LabId(pub(crate) u32);

impl LabId {
    /// Directory with the lab's manifests, logs and bpffs mounts.
    #[must_use]
    pub fn dir(self) -> PathBuf {
        PathBuf::from(LABS).join(self.0.to_string())
    }

    /// Directory below which each host has its cgroup.
    pub fn cgroup(self) -> Result<PathBuf> {
        Ok(cgroup::mount_point()?.join(format!("sluice-lab{self}")))
    }

    /// Name of a host's network namespace, as `ip netns` lists it.
    #[must_use]
    pub fn netns(self, host: &str) -> String {
        format!("{}{host}", self.netns_prefix())
    }

    pub(crate) fn netns_prefix(self) -> String {
        format!("sluice-lab{self}-")
    }

    pub(crate) fn keep_marker(self) -> PathBuf {
        self.dir().join("kept")
    }

    pub(crate) fn hosts(self) -> PathBuf {
        self.dir().join("hosts")
    }
}

impl fmt::Display for LabId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}
