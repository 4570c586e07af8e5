//! The lab's cgroups: one for each host, so that an agent can attach its socket programs to one node's processes.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::error::{Doing, Error, Result};
use crate::wait::patient;

/// How long killed processes may take to be gone.
const KILL_LIMIT: Duration = Duration::from_secs(5);

/// Where cgroup v2 is mounted: beside the controllers of version 1 on a hybrid machine.
pub(crate) fn mount_point() -> Result<&'static Path> {
    static FOUND: OnceLock<Option<PathBuf>> = OnceLock::new();
    FOUND.get_or_init(find_mount_point).as_deref().ok_or(Error::NoCgroup2)
}

fn find_mount_point() -> Option<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mounts").ok()?;
    mounts.lines().find_map(|line| {
        let mut fields = line.split(' ').skip(1);
        let target = fields.next()?;
        (fields.next()? == "cgroup2").then(|| PathBuf::from(target))
    })
}

/// Makes a cgroup and its parents.
pub(crate) fn create(path: &Path) -> Result<()> {
    fs::create_dir_all(path).doing(|| format!("make cgroup {}", path.display()))
}

/// Kills every process at and below `path`, then removes the cgroups. One that isn't there is removed already.
pub(crate) fn remove(path: &Path) -> Result<()> {
    if !path.exists() {
        return Ok(());
    }
    fs::write(path.join("cgroup.kill"), "1").doing(|| format!("kill the processes of cgroup {}", path.display()))?;
    let deadline = Instant::now() + patient(KILL_LIMIT);
    loop {
        match remove_tree(path) {
            Err(error) if error.kind() == io::ErrorKind::ResourceBusy && Instant::now() < deadline => {
                sleep(Duration::from_millis(2));
            }
            result => return result.doing(|| format!("remove cgroup {}", path.display())),
        }
    }
}

/// The kernel's files in a cgroup can't be unlinked, so directories only, from the leaves up.
fn remove_tree(path: &Path) -> io::Result<()> {
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove_tree(&entry.path())?;
        }
    }
    fs::remove_dir(path)
}
