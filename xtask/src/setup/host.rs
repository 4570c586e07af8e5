//! Compilers of the agent, for this machine and for another.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use super::{apt, distribution, rustup};
use crate::arch::Arch;
use crate::process;

/// How the agent is built for a machine.
pub(crate) struct Host {
    /// Cargo in the workspace, with the compiler whose library there is.
    pub(crate) cargo: Command,
    /// The C compiler that links; `None` for this machine's own.
    pub(crate) linker: Option<&'static str>,
}

/// Finds or installs a Rust library and a C compiler with a static library for this kind of machine.
///
/// # Errors
/// Neither rustup nor the distribution has them.
pub(crate) fn host(arch: Arch) -> Result<Host> {
    if arch.is_host() {
        return Ok(Host { cargo: process::cargo(), linker: None });
    }
    Ok(Host { cargo: cargo_with_library(arch)?, linker: Some(linker(arch)?) })
}

/// The first compiler that has the library of the target: that which runs xtask, with rustup's help, else the
/// distribution's.
fn cargo_with_library(arch: Arch) -> Result<Command> {
    let target = arch.target();
    if has_library(Path::new("rustc"), &target) {
        return Ok(process::cargo());
    }
    let refused = match rustup::add_target(&target) {
        Ok(()) => return Ok(process::cargo()),
        Err(refused) => refused,
    };
    let rustc = distribution::with_library_for(arch)
        .with_context(|| format!("no Rust library for {target}: rustup: {refused:#}; the distribution"))?;
    if !has_library(&rustc, &target) {
        bail!("{} has no library for {target}, though its package is installed", rustc.display());
    }
    Ok(process::cargo_of(&rustc))
}

/// Whether this compiler has the library of a target.
fn has_library(rustc: &Path, target: &str) -> bool {
    let libraries = process::output(Command::new(rustc).args(["--print", "target-libdir", "--target", target]));
    let libraries = libraries.map(|path| PathBuf::from(path.trim())).into_iter();
    libraries.filter_map(|path| path.read_dir().ok()).flatten().flatten().any(|entry| {
        let name = entry.file_name();
        name.to_string_lossy().starts_with("libstd-") && Path::new(&name).extension().is_some_and(|it| it == "rlib")
    })
}

/// Debian's and Ubuntu's cross compiler; its package brings the static C library along.
fn linker(arch: Arch) -> Result<&'static str> {
    let (program, packages) = match arch {
        Arch::Amd64 => ("x86_64-linux-gnu-gcc", ["gcc-x86-64-linux-gnu", "libc6-dev-amd64-cross"]),
        Arch::Arm64 => ("aarch64-linux-gnu-gcc", ["gcc-aarch64-linux-gnu", "libc6-dev-arm64-cross"]),
    };
    if !process::on_path(program) {
        apt::install(&packages)?;
    }
    Ok(program)
}
