//! The file systems the agent works on.

use std::path::Path;

use rustix::fs::statfs;

use super::{Check, Needs};
use crate::config::SocketLb;
use crate::mounts;

// The kernel's include/uapi/linux/magic.h.
const BPF_FS_MAGIC: u32 = 0xcafe_4a11;
const CGROUP2_SUPER_MAGIC: u32 = 0x6367_7270;

pub(super) fn checks(needs: &Needs) -> Vec<Check> {
    vec![bpffs(&needs.bpffs), cgroup(needs)]
}

fn bpffs(directory: &Path) -> Check {
    // The agent makes the directory: what counts is where it would be.
    let Some(existing) = directory.ancestors().find(|path| path.exists()) else {
        return Check::fail(
            "bpffs",
            format!("{} can't be", directory.display()),
            "name another directory with --bpffs",
        );
    };
    let found = format!("{} for {}", existing.display(), directory.display());
    if is_on(existing, BPF_FS_MAGIC) {
        Check::ok("bpffs", found)
    } else if mounts::of_type("bpf").is_empty() {
        Check::warn(
            "bpffs",
            format!("{found}: no bpffs is mounted"),
            "the agent mounts one; or: mount -t bpf bpf /sys/fs/bpf",
        )
    } else {
        Check::warn(
            "bpffs",
            format!("{found}: not on a bpffs"),
            "the agent mounts one there; or name another with --bpffs",
        )
    }
}

fn cgroup(needs: &Needs) -> Check {
    let directory = needs.cgroup.clone().or_else(|| mounts::of_type("cgroup2").into_iter().next());
    let mend = "mount one (mount -t cgroup2 none DIR) and name it with --cgroup, or use --socket-lb off";
    let failed = |found| match needs.socket_lb {
        SocketLb::Off => Check::ok("cgroup v2", "not needed with --socket-lb off"),
        SocketLb::On | SocketLb::Host => Check::fail("cgroup v2", found, mend),
    };
    match directory {
        None => failed("not mounted".into()),
        Some(path) if !is_on(&path, CGROUP2_SUPER_MAGIC) => failed(format!("{} is not cgroup v2", path.display())),
        Some(path) => Check::ok("cgroup v2", path.display().to_string()),
    }
}

fn is_on(path: &Path, magic: u32) -> bool {
    // f_type has another integer type on each architecture; this one holds them all.
    statfs(path).is_ok_and(|file_system| i128::from(file_system.f_type) == i128::from(magic))
}
