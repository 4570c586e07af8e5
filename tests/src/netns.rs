//! Named network namespaces: a thread or a child process enters one; this process never does as a whole.

use std::fs::File;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::process::Command;
use std::thread;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::error::{Doing, Result};

/// Where `ip netns` keeps its names.
pub(crate) const NAMES: &str = "/run/netns";

/// Opened for each use: an open file would keep a namespace alive after its lab.
fn open(name: &str) -> Result<File> {
    let path = PathBuf::from(NAMES).join(name);
    File::open(&path).doing(|| format!("open network namespace {}", path.display()))
}

/// For errors: a namespace, and how to look around in it.
pub(crate) fn place(name: &str) -> String {
    format!("network namespace {name} (look around with: ip netns exec {name} sh)")
}

/// Runs `work` on a thread of its own inside the namespace.
///
/// Only the namespace changes: a thread can't join a cgroup of its own, so sockets opened here are in this process's
/// cgroup. For what depends on a host's cgroup, start a process there.
pub(crate) fn inside<T: Send>(name: &str, work: impl FnOnce() -> T + Send) -> Result<T> {
    let netns = open(name)?;
    thread::scope(|scope| {
        let entered = scope.spawn(move || {
            move_into_link_name_space(netns.as_fd(), Some(LinkNameSpaceType::Network))
                .doing(|| format!("enter network namespace {name}"))?;
            Ok(work())
        });
        entered.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// Makes `command` start inside the namespace and, where one is given, inside a cgroup.
pub(crate) fn enter(command: &mut Command, name: &str, cgroup: Option<&PathBuf>) -> Result<()> {
    use std::os::unix::process::CommandExt as _;
    let netns = open(name)?;
    let procs = cgroup.map(|path| path.join("cgroup.procs"));
    let procs = procs
        .map(|path| File::options().write(true).open(&path).doing(|| format!("open {}", path.display())))
        .transpose()?;
    let enter = move || {
        if let Some(procs) = &procs {
            rustix::io::write(procs, b"0")?; // 0 is the process that writes
        }
        move_into_link_name_space(netns.as_fd(), Some(LinkNameSpaceType::Network))?;
        Ok(())
    };
    // SAFETY: between fork and exec the closure makes two system calls on files opened before; it neither allocates
    // nor takes a lock.
    unsafe { command.pre_exec(enter) };
    Ok(())
}
