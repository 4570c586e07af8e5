//! Toolchains of rustup: the user's, and a private one.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use super::toolchain::{Keeper, Toolchain};
use crate::{process, workspace};

/// The release that is installed privately. A fixed one rather than a nightly: it builds the same tomorrow, and its LLVM
/// stays one that bpf-linker knows.
const PRIVATE_RELEASE: &str = "1.96.0";

/// A compiler of the user's rustup, by the toolchain's name; none is installed for the asking.
pub(crate) fn user_rustc(toolchain: &str) -> Option<PathBuf> {
    let mut command = rustup();
    command.args(["run", toolchain, "rustc", "--print", "sysroot"]);
    let sysroot = process::output(&mut command).ok()?;
    Some(PathBuf::from(sysroot.trim()).join("bin/rustc"))
}

/// The compiler of the private toolchain, if it is installed.
pub(crate) fn private_rustc() -> Option<PathBuf> {
    let toolchains = std::fs::read_dir(private_home().join("toolchains")).ok()?;
    let rustc = |entry: std::fs::DirEntry| entry.path().join("bin/rustc");
    let mut found = toolchains.flatten().filter(|e| e.file_name().to_string_lossy().starts_with(PRIVATE_RELEASE));
    found.next().map(rustc)
}

/// Installs the private toolchain with the rustup that is on PATH.
pub(crate) fn install() -> Result<Toolchain> {
    super::say(format_args!("installing Rust {PRIVATE_RELEASE} under {}", private_home().display()));
    let mut command = rustup();
    command.env("RUSTUP_HOME", private_home()).env_remove("RUSTUP_TOOLCHAIN");
    // Without network, give up at once: there may be another candidate.
    command.env("RUSTUP_MAX_RETRIES", "1");
    command.args(["toolchain", "install", PRIVATE_RELEASE, "--profile", "minimal", "--no-self-update"]);
    command.args(["--component", "rust-src", "--component", "clippy"]);
    process::output(&mut command)?;
    let rustc = private_rustc().ok_or_else(|| anyhow::anyhow!("rustup installed no rustc {PRIVATE_RELEASE}"))?;
    Toolchain::probe(&rustc, Keeper::Xtask)
}

/// Adds the library of a target to the toolchain that runs xtask.
pub(crate) fn add_target(target: &str) -> Result<()> {
    let mut command = rustup();
    command.env("RUSTUP_MAX_RETRIES", "1").args(["target", "add", target]);
    process::output(&mut command).map(drop)
}

fn private_home() -> PathBuf {
    workspace::tools().join("rustup")
}

fn rustup() -> Command {
    let mut command = Command::new("rustup");
    command.env("RUSTUP_AUTO_INSTALL", "0").env_remove("RUST_BACKTRACE");
    command
}
