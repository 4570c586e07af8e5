//! `cargo xtask lint`: everything about the source that can be told without running it.

mod length;
mod licences;
mod links;
mod parity;
mod test_names;

use std::process::Command;

use anyhow::Result;

use crate::setup::{self, Toolchain};
use crate::tally::Tally;
use crate::{ebpf, manifests, process};

const DOCUMENT: [&str; 3] = ["--no-deps", "--document-private-items", "--quiet"];

/// The verb.
pub(crate) fn run() -> Result<()> {
    check()?.close()
}

/// Sets up what is missing, then runs every check, also after one failed.
pub(crate) fn check() -> Result<Tally> {
    let toolchain = setup::ebpf()?;
    setup::lint(toolchain)?;
    let host = ["--workspace", "--exclude", "proxy-ebpf"];
    let mut format = process::cargo();
    format.args(["fmt", "--all", "--check"]);
    let mut clippy = process::cargo();
    clippy.arg("clippy").args(host).args(["--all-targets", "--quiet", "--", "-D", "warnings"]);
    let mut documentation = process::cargo();
    documentation.arg("doc").args(host).args(DOCUMENT).env("RUSTDOCFLAGS", "-Dwarnings");
    let mut documentation_of_bpf = ebpf::cargo(toolchain, "cargo", "doc")?;
    documentation_of_bpf.args(DOCUMENT).env("RUSTDOCFLAGS", "-Dwarnings");

    let mut tally = Tally::default();
    tally += command("formatting", &mut format);
    tally += outcome("no file beyond 800 lines", &length::check());
    tally += outcome("links of the documentation", &links::check());
    tally += outcome("what kube-proxy promises, and tests of it", &parity::check());
    tally += outcome("manifests for kustomize, as the chart makes them", &manifests::check());
    tally += command("clippy, host", &mut clippy);
    tally += command("clippy, kernel programs", &mut clippy_for_bpf(toolchain)?);
    tally += command("documentation, host", &mut documentation);
    tally += command("documentation, kernel programs", &mut documentation_of_bpf);
    tally += licences::check();
    Ok(tally)
}

/// Clippy on the real target, so that `cfg`s, widths and missing atomics are those of the kernel programs. It is the clippy of the
/// compiler that builds them, because a clippy can read no other compiler's `core`.
fn clippy_for_bpf(toolchain: &Toolchain) -> Result<Command> {
    // cargo-clippy by its path: `cargo clippy` would take rustup's from ~/.cargo/bin.
    let mut command = ebpf::cargo(toolchain, "cargo-clippy", "clippy")?;
    command.args(["--quiet", "--", "-D", "warnings"]);
    Ok(command)
}

fn command(name: &str, command: &mut Command) -> Tally {
    outcome(name, &process::run(command))
}

fn outcome(name: &str, result: &Result<()>) -> Tally {
    match result {
        Ok(()) => println!("lint: {name}: ok"),
        Err(error) => println!("lint: {name}: FAILED: {error:#}"),
    }
    Tally::one(result.is_ok())
}
