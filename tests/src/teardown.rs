//! Removing all that carries a lab's number, in an order in which each step lets the next succeed: processes, mounts,
//! namespaces, and last the directory, by which an unfinished removal is found again.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rustix::mount::{UnmountFlags, unmount};

use crate::cgroup;
use crate::error::{Doing, Result};
use crate::id::LabId;
use crate::ip::Batch;
use crate::netns;

/// Where agents tell about themselves.
const STATUS: &str = "/run/sluice";

/// Removes a lab. What is gone already is no error, so an interrupted removal can be repeated.
pub(crate) fn teardown(id: LabId) -> Result<()> {
    let dir = id.dir();
    cgroup::remove(&id.cgroup()?)?;
    for target in mounts_below(&dir)? {
        unmount(&target, UnmountFlags::DETACH).doing(|| format!("unmount {}", target.display()))?;
    }
    remove_namespaces(id)?;
    remove_status(id)?;
    match fs::remove_dir_all(&dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result.doing(|| format!("remove {}", dir.display())),
    }
}

/// What agents told about themselves: a directory each, named after their bpffs as systemd names units after paths.
fn remove_status(id: LabId) -> Result<()> {
    let path = id.dir().display().to_string();
    let prefix = format!("{}-", path.trim_start_matches('/').replace('-', "\\x2d").replace('/', "-"));
    let Ok(entries) = fs::read_dir(STATUS) else { return Ok(()) };
    for entry in entries {
        let entry = entry.doing(|| format!("list {STATUS}"))?;
        if entry.file_name().to_string_lossy().starts_with(&prefix) {
            let path = entry.path();
            fs::remove_dir_all(&path).doing(|| format!("remove {}", path.display()))?;
        }
    }
    Ok(())
}

fn mounts_below(dir: &Path) -> Result<Vec<PathBuf>> {
    let mounts = fs::read_to_string("/proc/self/mounts").doing(|| "read /proc/self/mounts".into())?;
    let targets = mounts.lines().filter_map(|line| line.split(' ').nth(1)).map(PathBuf::from);
    let mut below: Vec<_> = targets.filter(|target| target.starts_with(dir)).collect();
    below.reverse();
    Ok(below)
}

fn remove_namespaces(id: LabId) -> Result<()> {
    let prefix = id.netns_prefix();
    let Ok(names) = fs::read_dir(netns::NAMES) else { return Ok(()) };
    let mut batch = Batch::default();
    for name in names {
        let name = name.doing(|| format!("list {}", netns::NAMES))?.file_name();
        if let Some(name) = name.to_str().filter(|name| name.starts_with(&prefix)) {
            batch.add(format_args!("netns del {name}"));
        }
    }
    batch.run()
}
