//! bpf-linker, built against the LLVM of the compiler whose output it links.

use std::fs;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use super::apt;
use crate::{process, workspace};

const VERSION: &str = "0.13.0";

/// The LLVM releases this bpf-linker can be built against.
const LLVM: RangeInclusive<u32> = 21..=23;

/// The linker, installed if need be. It reads the bitcode of its own LLVM and of older ones.
///
/// # Errors
/// When none can be built for a compiler with LLVM `llvm`: with the command that would help.
pub(crate) fn ensure(llvm: u32) -> Result<()> {
    if installed_for(llvm) {
        return Ok(());
    }
    let usable = llvm.max(*LLVM.start())..=*LLVM.end();
    if usable.is_empty() {
        bail!("bpf-linker {VERSION} knows LLVM {LLVM:?}, and this compiler has LLVM {llvm}");
    }
    let (llvm, prefix) = match usable.clone().find_map(development_files) {
        Some(found) => found,
        None => install_development_files(usable).with_context(released_binary)?,
    };
    super::say(format_args!("building bpf-linker {VERSION} against LLVM {llvm} (about a minute)"));
    build(llvm, &prefix)
}

fn build(llvm: u32, prefix: &Path) -> Result<()> {
    let mut command = process::cargo();
    command.env("LLVM_PREFIX", prefix).arg("install").args(["bpf-linker", "--version", VERSION]);
    command.args(["--locked", "--force", "--quiet", "--no-default-features", "--features", &format!("llvm-{llvm}")]);
    command.arg("--root").arg(workspace::tools());
    process::run(&mut command).context("bpf-linker could not be built; it needs a C++ compiler: apt-get install g++")
}

/// Whether the linker under `target` runs and reads this LLVM's bitcode. One that someone put there, and not cargo, says
/// nothing about its LLVM and is taken at its word.
fn installed_for(llvm: u32) -> bool {
    let tools = workspace::tools();
    let version = process::output(Command::new(tools.join("bin/bpf-linker")).arg("--version")).unwrap_or_default();
    let installs = fs::read_to_string(tools.join(".crates2.json")).unwrap_or_default();
    version.trim() == format!("bpf-linker {VERSION}") && built_against(&installs).is_none_or(|own| own >= llvm)
}

/// The LLVM in cargo's record of what it installed.
fn built_against(installs: &str) -> Option<u32> {
    let installs: Value = serde_json::from_str(installs).ok()?;
    let mut installs = installs.get("installs")?.as_object()?.iter();
    let (_, linker) = installs.find(|(name, _)| name.starts_with("bpf-linker "))?;
    let features = linker.get("features")?.as_array()?.iter().filter_map(Value::as_str);
    features.filter_map(|feature| feature.strip_prefix("llvm-")?.parse().ok()).max()
}

/// Where this LLVM's development files are: apt's folder, or whatever `llvm-config` answers for other distributions.
fn development_files(llvm: u32) -> Option<(u32, PathBuf)> {
    let apt = format!("/usr/lib/llvm-{llvm}/bin/llvm-config");
    for config in [apt, format!("llvm-config-{llvm}"), "llvm-config".to_owned()] {
        let answer = |question| process::output(Command::new(&config).arg(question)).ok();
        if answer("--version").is_some_and(|version| version.starts_with(&format!("{llvm}."))) {
            return Some((llvm, PathBuf::from(answer("--prefix")?.trim())));
        }
    }
    None
}

fn install_development_files(usable: RangeInclusive<u32>) -> Result<(u32, PathBuf)> {
    let packages: Vec<_> = usable.clone().map(|llvm| format!("llvm-{llvm}-dev")).collect();
    let mut offered = apt::candidates(&packages);
    if offered.is_empty() && process::on_path("apt-get") {
        apt::refresh();
        offered = apt::candidates(&packages);
    }
    let package = offered.keys().next().or(packages.first()).context("no LLVM to install")?;
    apt::install(&[package])?;
    usable.into_iter().find_map(development_files).with_context(|| format!("{package} has no llvm-config"))
}

/// The way out where no package has an LLVM that fits.
fn released_binary() -> String {
    let tools = workspace::tools();
    let arch = std::env::consts::ARCH;
    format!(
        "no LLVM to build bpf-linker against; the released one does as well: mkdir -p {bin} && curl -L https://github.com/\
         aya-rs/bpf-linker/releases/download/v{VERSION}/bpf-linker-{arch}-unknown-linux-musl.tar.zst | tar --zstd -x -C {bin}",
        bin = tools.join("bin").display()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_llvm_of_an_installed_linker_is_read_from_cargos_record() {
        let record = r#"{"installs":{
            "cargo-deny 0.20.2 (registry+x)":{"features":["default"]},
            "bpf-linker 0.13.0 (registry+x)":{"features":["llvm-22"]}}}"#;
        assert_eq!(built_against(record), Some(22));
    }

    #[test]
    fn a_linker_that_cargo_did_not_install_has_no_known_llvm() {
        assert_eq!(built_against(r#"{"installs":{}}"#), None);
        assert_eq!(built_against(""), None);
    }
}
