//! A place of its own for kernel state: nothing of it outlives the process.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, ensure};
use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_change};
use rustix::thread::UnshareFlags;

use crate::objects::Objects;

/// Network and mount namespace of this process, with an empty `/run` of its own: BPF file systems and manifests are
/// mounted there.
pub(crate) struct Place;

impl Place {
    /// Moves this process there; before it has other threads.
    pub(crate) fn new() -> anyhow::Result<Self> {
        // SAFETY: no other thread runs that could rely on what is unshared.
        unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNET | UnshareFlags::NEWNS) }
            .context("a network and mount namespace of its own takes root")?;
        mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)
            .context("cannot keep mounts private")?;
        mount("scale", "/run", "tmpfs", MountFlags::empty(), None).context("cannot mount a tmpfs")?;
        fs::create_dir("/run/bpf")?;
        mount("scale", "/run/bpf", "bpf", MountFlags::empty(), None).context("cannot mount a BPF file system")?;
        let loopback = Command::new("ip").args(["link", "set", "lo", "up"]).status().context("cannot start ip")?;
        ensure!(loopback.success(), "ip link set lo up: {loopback}");
        Ok(Self)
    }

    /// A directory on a BPF file system; the same for the same `name`.
    pub(crate) fn bpffs(&self, name: &str) -> anyhow::Result<PathBuf> {
        self.directory("bpf", name)
    }

    /// A directory of manifests, in memory: a file for each Service, with its slice.
    pub(crate) fn manifests(&self, objects: Objects) -> anyhow::Result<PathBuf> {
        let path = self.directory("manifests", &objects.services.to_string())?;
        for service in 0..objects.services {
            fs::write(path.join(Objects::file_name(service)), objects.manifest(service, None))?;
        }
        Ok(path)
    }

    #[expect(clippy::unused_self, reason = "there is nothing to make a directory in before there is a place")]
    fn directory(&self, kind: &str, name: &str) -> anyhow::Result<PathBuf> {
        let path = PathBuf::from("/run").join(kind).join(name);
        fs::create_dir_all(&path).with_context(|| path.display().to_string())?;
        Ok(path)
    }
}
