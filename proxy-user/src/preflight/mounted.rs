//! The file systems the agent works on.

use std::path::Path;

use super::{Check, Needs};
use crate::config::SocketLb;
use crate::mounts;

pub(super) fn bpffs(directory: &Path) -> Check {
    let what = if mounts::is_bpffs(directory) { "on a BPF file system" } else { "none yet: the agent mounts it" };
    Check::ok("bpffs", format!("{}: {what}", directory.display()))
}

pub(super) fn cgroup(needs: &Needs) -> Check {
    let directory = needs.cgroup.clone().or_else(mounts::cgroup2);
    let mend =
        "mount one (mount -t cgroup2 none DIR) and name it with --cgroup, or use --socket-lb off or --mode iptables";
    let failed = |found| match needs.socket_lb {
        SocketLb::Off => Check::ok("cgroup v2", "not needed with --socket-lb off"),
        SocketLb::On | SocketLb::Host => Check::fail("cgroup v2", found, mend),
    };
    match directory {
        None => failed("not mounted".into()),
        Some(path) if !mounts::is_cgroup2(&path) => failed(format!("{} is not cgroup v2", path.display())),
        Some(path) => Check::ok("cgroup v2", path.display().to_string()),
    }
}
