//! `cargo xtask setup`: finds or installs what the other verbs need, once.
//!
//! The kernel programs need a rustc with library sources, and bpf-linker with an LLVM that is not older than that rustc's. The first
//! compiler wins for which both can be had. What is installed goes below `target/tools`, except packages of the
//! distribution.

pub(crate) mod apt;
mod distribution;
mod host;
mod linker;
mod lint_tools;
mod rustup;
mod toolchain;
mod version;

use std::fmt;
use std::path::PathBuf;
use std::sync::OnceLock;

use anyhow::{Result, bail};

pub(crate) use host::{Host, host};
pub(crate) use lint_tools::ensure as lint;
use toolchain::Keeper;
pub(crate) use toolchain::Toolchain;

use crate::process;

/// Everything any verb needs.
pub(crate) fn run() -> Result<()> {
    network()?;
    lint(ebpf()?)
}

/// What the lab builds its networks with, and the rules of another proxy.
pub(crate) fn network() -> Result<()> {
    let needed = [("ip", "iproute2"), ("iptables-restore", "iptables"), ("ipset", "ipset")].into_iter();
    let missing: Vec<_> =
        needed.filter(|(program, _)| !process::on_path(program)).map(|(_, package)| package).collect();
    if missing.is_empty() { Ok(()) } else { apt::install(&missing) }
}

/// What another kernel is booted with.
pub(crate) fn machine() -> Result<()> {
    network()?;
    apt::install(&["qemu-system-x86", "busybox-static"])
}

/// A compiler for the kernel programs, with bpf-linker in place. It is looked for once a run.
pub(crate) fn ebpf() -> Result<&'static Toolchain> {
    static PICKED: OnceLock<Toolchain> = OnceLock::new();
    if let Some(picked) = PICKED.get() {
        return Ok(picked);
    }
    let picked = pick()?;
    say(format_args!("the kernel programs are built by {picked}"));
    Ok(PICKED.get_or_init(|| picked))
}

fn pick() -> Result<Toolchain> {
    let mut refused = Vec::new();
    let installed = installed().into_iter().map(|(rustc, keeper)| Toolchain::probe(&rustc, keeper));
    // Lazily: nothing is installed while something that is there will do.
    let installable = [distribution::install, rustup::install].into_iter().map(|install| install());
    for candidate in installed.chain(installable) {
        match candidate.and_then(|found| linker::ensure(found.llvm).map(|()| found)) {
            Ok(found) => return Ok(found),
            Err(reason) => refused.push(format!("  - {reason:#}")),
        }
    }
    bail!(
        "no compiler for the kernel programs. Looked at:\n{}\nWith a network, this helps: rustup toolchain install nightly \
         --component rust-src",
        refused.join("\n")
    )
}

/// The compilers that are here, the preferred one first.
fn installed() -> Vec<(PathBuf, Keeper)> {
    let rustup = ["nightly", "stable"].into_iter();
    let rustup = rustup.filter_map(|name| Some((rustup::user_rustc(name)?, Keeper::Rustup(name.to_owned()))));
    let distribution = distribution::installed().into_iter().map(|rustc| (rustc, Keeper::Distribution));
    let private = rustup::private_rustc().map(|rustc| (rustc, Keeper::Xtask));
    rustup.chain(distribution).chain(private).collect()
}

/// One line on what set-up picked or does.
fn say(what: fmt::Arguments<'_>) {
    eprintln!("setup: {what}");
}
