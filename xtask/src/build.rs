//! `cargo xtask build`: the kernel programs, then the agent that embeds them.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use clap::Args;

use crate::setup::{self, Toolchain};
use crate::{ebpf, process, workspace};

/// How to build.
#[derive(Args)]
pub(crate) struct Build {
    /// Build the agent with optimisations (the kernel programs always are)
    #[arg(long)]
    release: bool,
}

impl Build {
    pub(crate) fn run(&self) -> Result<()> {
        everything(setup::ebpf()?, self.release)
    }
}

/// Builds the kernel programs, then the agent.
pub(crate) fn everything(toolchain: &Toolchain, release: bool) -> Result<()> {
    kernel_programs(toolchain)?;
    agent(release)
}

/// Builds the kernel programs and puts them where the agent's build looks for them.
pub(crate) fn kernel_programs(toolchain: &Toolchain) -> Result<()> {
    process::run(&mut ebpf::cargo(toolchain, "cargo", "build")?).context("the kernel programs did not build")?;
    replace_if_changed(&ebpf::built_object(), &workspace::ebpf_object())
}

/// Builds the agent, and the servers and clients of the lab. Of the whole workspace, so that its dependencies have the features the tests build them with, and are
/// built once.
fn agent(release: bool) -> Result<()> {
    let mut command = process::cargo();
    command.args(["build", "--workspace", "--exclude", "proxy-ebpf", "--bin", "sluice", "--bin", "lab-traffic"]);
    if release {
        command.arg("--release");
    }
    process::run(&mut command).context("the agent did not build")
}

/// Copies a file unless the copy is the same already: a new time stamp would rebuild the agent and all its tests.
fn replace_if_changed(from: &Path, to: &Path) -> Result<()> {
    let new = fs::read(from).with_context(|| format!("cannot read {}", from.display()))?;
    if fs::read(to).is_ok_and(|old| old == new) {
        return Ok(());
    }
    fs::write(to, new).with_context(|| format!("cannot write {}", to.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unchanged_object_keeps_its_time_stamp_and_a_changed_one_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("from"), folder.path().join("to"));
        let long_ago = std::time::SystemTime::UNIX_EPOCH;
        fs::write(&from, "same").unwrap();
        fs::write(&to, "same").unwrap();
        fs::File::options().write(true).open(&to).unwrap().set_modified(long_ago).unwrap();

        replace_if_changed(&from, &to).unwrap();
        assert_eq!(fs::metadata(&to).unwrap().modified().unwrap(), long_ago);

        fs::write(&from, "other").unwrap();
        replace_if_changed(&from, &to).unwrap();
        assert_eq!(fs::read(&to).unwrap(), b"other");
    }
}
