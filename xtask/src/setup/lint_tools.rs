//! What `lint` needs beyond what `build` needs.

use std::process::Command;

use anyhow::{Context as _, Result, bail};

use super::toolchain::{Keeper, Toolchain};
use super::{apt, distribution};
use crate::{process, workspace};

const CARGO_DENY: &str = "0.20.2";

/// What `lint` needs: rustfmt, clippy for both targets, cargo-deny.
pub(crate) fn ensure(ebpf: &Toolchain) -> Result<()> {
    host()?;
    clippy_for(ebpf)?;
    cargo_deny()
}

/// rustfmt and clippy of the cargo that started xtask.
fn host() -> Result<()> {
    for (tool, package) in [("fmt", "rustfmt"), ("clippy", "clippy")] {
        if process::succeeds(process::cargo().args([tool, "--version"])) {
            continue;
        }
        if std::env::var_os("RUSTUP_TOOLCHAIN").is_some() {
            bail!("cargo {tool} is missing; install it with: rustup component add {package}");
        }
        let deb = if tool == "fmt" { "rustfmt-web" } else { "rust-web-clippy" };
        apt::install(&[deb]).with_context(|| format!("cargo {tool} is missing"))?;
    }
    Ok(())
}

/// Clippy must be of the very compiler that builds the kernel programs: it reads that one's `core`.
fn clippy_for(ebpf: &Toolchain) -> Result<()> {
    if ebpf.tool("cargo-clippy").is_file() {
        return Ok(());
    }
    match &ebpf.keeper {
        Keeper::Distribution => distribution::install_clippy(&ebpf.tool("rustc")),
        Keeper::Rustup(name) => {
            bail!("{ebpf} has no clippy; add it with: rustup component add clippy --toolchain {name}")
        }
        Keeper::Xtask => bail!("{ebpf} has no clippy; start afresh with: rm -r {}", ebpf.sysroot.display()),
    }
}

fn cargo_deny() -> Result<()> {
    let tools = workspace::tools();
    let installed = process::output(Command::new(tools.join("bin/cargo-deny")).arg("--version")).unwrap_or_default();
    if installed.trim() == format!("cargo-deny {CARGO_DENY}") {
        return Ok(());
    }
    super::say(format_args!("building cargo-deny {CARGO_DENY} (about two minutes)"));
    let mut command = process::cargo();
    command.args(["install", "cargo-deny", "--version", CARGO_DENY, "--locked", "--force", "--quiet", "--root"]);
    process::run(command.arg(tools))
}
