//! `cargo xtask image --check`: the agent's suites with the agent of the image, in the image's own files.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};

use super::layout::Layout;
use crate::arch::Arch;
use crate::{build, process, setup, workspace};

/// How a program is started in a folder as its root: as in a container, with the mounts of a DaemonSet, and what the
/// lab has in /run and /tmp. The folder's own /etc stays.
const ENTER: &str = r#"#!/bin/sh
exec unshare --mount --propagation private -- sh -ec '
    root=$1; shift
    for folder in dev proc sys run tmp; do
        mkdir -p "$root/$folder"
        mount --rbind "/$folder" "$root/$folder"
    done
    exec chroot "$root" "$@"
' sh ROOT PROGRAM "$@"
"#;
/// Suites of the tests `agent`: starting, the command line, objects that change, and the bundle.
const SUITES: [&str; 3] = ["start_up::", "cli::", "support_bundle::"];
/// A test that takes privileges from whom it starts: here that would be the program that enters the image.
const SKIPPED: &str = "missing_privileges_are_named";

/// Whether the check can be made.
pub(super) fn possible(arch: Arch) -> Result<()> {
    if !arch.is_host() {
        bail!("an image for {} can't be run on this machine: leave out --check", arch.name());
    }
    if !rustix::process::geteuid().is_root() {
        bail!("--check needs a lab, which needs root: sudo --preserve-env=HOME,PATH cargo xtask image --check");
    }
    setup::network()
}

/// Unpacks an image and runs the suites from it.
pub(super) fn run(image: &Path) -> Result<()> {
    let archive = fs::read(image).with_context(|| format!("cannot read {}", image.display()))?;
    let folder = tempfile::Builder::new().prefix("sluice-image-").tempdir_in(workspace::image_target())?;
    let program = enter(&archive, folder.path())?;
    let version = process::output(Command::new(&program).arg("version"))?;
    ensure!(version.contains(env!("CARGO_PKG_VERSION")), "the image's agent says it is {version}");
    println!("the image's agent is {}", version.trim());
    build::everything(setup::ebpf()?, false)?;
    let mut tests = process::cargo();
    tests.args(["test", "--package", "sluice-tests", "--test", "agent", "--", "--test-threads=1"]).args(SUITES);
    tests.args(["--skip", SKIPPED]);
    process::run(tests.env("SLUICE_BIN", program))
}

/// Unpacks the image below `folder`, and returns a program that runs its entry point there.
fn enter(archive: &[u8], folder: &Path) -> Result<PathBuf> {
    let (config, files) = Layout::read(archive)?.unpack()?;
    let entrypoint = config.config().as_ref().and_then(|config| config.entrypoint().as_ref()?.first());
    let entrypoint = entrypoint.context("the image has no entry point")?;
    let root = folder.join("root");
    let mut files = tar::Archive::new(files.as_slice());
    files.set_preserve_permissions(true);
    files.unpack(&root)?;
    let program = folder.join("sluice");
    let text = ENTER.replace("ROOT", &root.display().to_string()).replace("PROGRAM", entrypoint);
    fs::write(&program, text).context("cannot write the program that enters the image")?;
    fs::set_permissions(&program, Permissions::from_mode(0o755))?;
    Ok(program)
}
