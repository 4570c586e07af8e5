//! The distribution's rustc with its library sources: what is installed, and which packages to install.
//!
//! Debian stable has a recent one as `rustc-web` (for its browsers), Ubuntu has `rustc-1.NN` side by side, Debian testing has
//! plain `rustc`. The parts of a set share the name.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use super::apt;
use super::toolchain::{Keeper, Toolchain};
use super::version::Version;
use crate::arch::Arch;
use crate::process;

/// The compilers the distribution's packages install, wherever they are on this machine.
pub(crate) fn installed() -> Vec<PathBuf> {
    let versioned = fs::read_dir("/usr/lib").into_iter().flatten().flatten().map(|entry| entry.path());
    let versioned = versioned.filter(|path| path.file_name().is_some_and(|n| n.to_string_lossy().starts_with("rust-")));
    let rustcs = [PathBuf::from("/usr")].into_iter().chain(versioned).map(|sysroot| sysroot.join("bin/rustc"));
    rustcs.filter(|rustc| rustc.is_file()).collect()
}

/// Installs the newest set that is new enough.
pub(crate) fn install() -> Result<Toolchain> {
    let newest = newest().or_else(|| {
        apt::refresh();
        newest()
    });
    let rustc = newest.with_context(|| format!("the distribution has no rustc >= {}", Version::minimum()))?;
    apt::install(&[&rustc, &rustc.replacen("rustc", "cargo", 1), &format!("{}-src", set(&rustc))])?;
    let mut found = installed().into_iter().filter(|path| owner(path).is_ok_and(|package| package == rustc));
    let Some(path) = found.next_back() else {
        bail!("package {rustc} was installed, but none of its files is a rustc")
    };
    Toolchain::probe(&path, Keeper::Distribution)
}

/// Adds clippy to an installed set.
pub(crate) fn install_clippy(rustc: &Path) -> Result<()> {
    apt::install(&[&format!("{}-clippy", set(&owner(rustc)?))])
}

/// A compiler with its library for another kind of machine.
pub(crate) fn with_library_for(arch: Arch) -> Result<PathBuf> {
    let usable = |rustc: &PathBuf| Toolchain::probe(rustc, Keeper::Distribution).is_ok();
    let rustc = match installed().into_iter().find(usable) {
        Some(rustc) => rustc,
        None => install()?.tool("rustc"),
    };
    apt::require_architecture(arch.name())?;
    apt::install(&[&library(&owner(&rustc)?, arch)])?;
    Ok(rustc)
}

/// The package of the newest rustc apt offers, if that is new enough.
fn newest() -> Option<String> {
    let names = apt::search("^rustc(-web|-[0-9.]+)?$");
    let versions = apt::candidates(&names).into_iter();
    let versions = versions.filter_map(|(name, version)| Some((Version::parse(&version).ok()?, name)));
    versions.filter(|(version, _)| *version >= Version::minimum()).max().map(|(_, name)| name)
}

/// What the other packages of a rustc's set start with: `rustc-web` has `rust-web-src`.
fn set(rustc: &str) -> String {
    rustc.replacen("rustc", "rust", 1)
}

/// The package of a rustc's library for a kind of machine: `rustc-web` has `libstd-rust-web-dev`.
fn library(rustc: &str, arch: Arch) -> String {
    format!("libstd-{}-dev:{}", set(rustc), arch.name())
}

/// The package a file came from.
fn owner(file: &Path) -> Result<String> {
    let line = process::output(Command::new("dpkg").arg("-S").arg(file))?;
    let package = line.split([':', ',']).next().unwrap_or_default().trim().to_owned();
    Ok(package)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_packages_of_a_set_are_named_after_its_rustc() {
        assert_eq!(["rustc", "rustc-web", "rustc-1.96"].map(set), ["rust", "rust-web", "rust-1.96"]);
        assert_eq!(library("rustc-web", Arch::Arm64), "libstd-rust-web-dev:arm64");
    }
}
