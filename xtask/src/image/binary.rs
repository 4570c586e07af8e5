//! The agent for another machine: one file that needs no library there.

use std::path::PathBuf;

use anyhow::{Context as _, Result};

use crate::arch::Arch;
use crate::setup::{self, Host};
use crate::{build, process, workspace};

/// Builds the agent, linked with everything that it calls, the C library included. The kernel programs in it are the
/// same for every machine of this byte order.
pub(super) fn build(arch: Arch) -> Result<PathBuf> {
    build::kernel_programs(setup::ebpf()?)?;
    let Host { mut cargo, linker } = setup::host(arch)?;
    let target = arch.target();
    // With --target these are for the program alone, and not for what is run while it is built.
    cargo.env("CARGO_ENCODED_RUSTFLAGS", rustflags()?.join("\u{1f}")).env_remove("RUSTFLAGS");
    if let Some(linker) = linker {
        let variable = target.replace('-', "_");
        cargo.env(format!("CARGO_TARGET_{}_LINKER", variable.to_uppercase()), linker);
        cargo.env(format!("CC_{variable}"), linker);
    }
    cargo.args(["build", "--release", "--locked", "--package", "proxy-user", "--bin", "sluice", "--target", &target]);
    process::run(cargo.arg("--target-dir").arg(workspace::image_target()))
        .with_context(|| format!("the agent did not build for {target}"))?;
    Ok(workspace::image_target().join(target).join("release/sluice"))
}

/// Static, without symbols, and without the paths that this machine has its sources at.
fn rustflags() -> Result<Vec<String>> {
    let forget = |path: PathBuf| format!("--remap-path-prefix={}=", path.join("").display());
    let home = std::env::home_dir().context("there is no home directory, in which cargo keeps the sources")?;
    let cargo_home = std::env::var_os("CARGO_HOME").map_or_else(|| home.join(".cargo"), PathBuf::from);
    Ok(vec![
        "-Ctarget-feature=+crt-static".to_owned(),
        "-Cstrip=symbols".to_owned(),
        forget(workspace::root().to_owned()),
        forget(cargo_home),
    ])
}
