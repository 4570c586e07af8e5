//! `cargo xtask upgrade`: an agent of the previous table version, built from the history, upgraded under load.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};
use clap::Args;

use crate::test::suite;
use crate::{build, process, setup, workspace};

/// Where the version of the tables is, and how its line begins.
const VERSION_FILE: &str = "proxy-common/src/tables/mod.rs";
const VERSION_LINE: &str = "pub const VERSION: u32 = ";

/// What to upgrade from
#[derive(Args)]
pub(crate) struct Upgrade {
    /// Upgrade from the agent of this commit, instead of the last one with another version of the tables
    #[arg(long, value_name = "COMMIT")]
    from: Option<String>,
}

impl Upgrade {
    pub(crate) fn run(&self) -> Result<()> {
        if !rustix::process::geteuid().is_root() {
            bail!("the suite needs a lab, which needs root: sudo --preserve-env=HOME,PATH cargo xtask upgrade");
        }
        let commit = self.commit()?;
        println!("the previous agent is that of {}", git(&["log", "-1", "--format=%h (%s)", &commit])?);
        setup::network()?;
        build::everything(setup::ebpf()?, false)?;
        let previous = build_at(&commit)?;
        let mut tests = process::cargo();
        tests.args(["test", "--package", "sluice-tests", "--test", "agent", "restart::upgrade"]);
        tests.args(["--", "--ignored", "--test-threads=1", "--nocapture"]).env("SLUICE_PREVIOUS_BIN", previous);
        suite::count(&mut tests)?.close()
    }

    fn commit(&self) -> Result<String> {
        let Some(named) = &self.from else { return previous_version() };
        let commit = git(&["rev-parse", "--verify", "--quiet", &format!("{named}^{{commit}}")]);
        commit.with_context(|| format!("--from {named}: the history here has no such commit"))
    }
}

/// The last commit with another version of the tables: the parent of the one that brought the present version.
fn previous_version() -> Result<String> {
    let present = fs::read_to_string(workspace::root().join(VERSION_FILE)).context(VERSION_FILE)?;
    let present = version(&present).with_context(|| format!("{VERSION_FILE} has no line {VERSION_LINE}"))?;
    let changes = git(&["log", "--format=%H", &format!("-G^{VERSION_LINE}"), "--", VERSION_FILE])?;
    for change in changes.lines() {
        let parent = format!("{change}^");
        // A root, also that of a shallow clone, has no parent.
        let Ok(text) = git(&["show", &format!("{parent}:{VERSION_FILE}")]) else { continue };
        if version(&text).is_some_and(|version| version != present) {
            return git(&["rev-parse", &parent]);
        }
    }
    bail!(
        "the history here has no version of the tables before {present}: complete a shallow clone by `git fetch --unshallow`, \
         or name a commit with --from"
    )
}

/// The number in the line that gives the version.
fn version(text: &str) -> Option<u32> {
    text.lines().find_map(|line| line.strip_prefix(VERSION_LINE)?.strip_suffix(';')?.parse().ok())
}

/// Builds the agent of a commit in a folder of its own, unless that is done; its path.
fn build_at(commit: &str) -> Result<PathBuf> {
    let folder = workspace::root().join("target/upgrade").join(commit);
    let sluice = folder.join("target/debug/sluice");
    if sluice.is_file() {
        return Ok(sluice);
    }
    fs::create_dir_all(folder.join("target")).with_context(|| folder.display().to_string())?;
    extract(commit, &folder)?;
    let tools = folder.join("target/tools");
    if !tools.exists() {
        symlink(workspace::tools(), &tools).with_context(|| format!("cannot make {}", tools.display()))?;
    }
    // Nobody debugs it, and what cargo is told about this workspace isn't about that one.
    let mut build = process::cargo();
    build.current_dir(&folder).args(["xtask", "build"]);
    build.env("CARGO_PROFILE_DEV_DEBUG", "0").env("CARGO_INCREMENTAL", "0").env_remove("CARGO_TARGET_DIR");
    process::run(&mut build).with_context(|| format!("the agent of {commit} did not build in {}", folder.display()))?;
    ensure!(sluice.is_file(), "the build of {commit} left no {}", sluice.display());
    Ok(sluice)
}

/// The files of a commit, without a history.
fn extract(commit: &str, folder: &Path) -> Result<()> {
    let mut archive = Command::new("git")
        .current_dir(workspace::root())
        .args(["archive", "--format=tar", commit])
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start git")?;
    let files = archive.stdout.take().context("git archive has no output")?;
    process::run(Command::new("tar").args(["-x", "-C"]).arg(folder).stdin(files))?;
    ensure!(archive.wait().context("git archive")?.success(), "git archive {commit} failed");
    Ok(())
}

fn git(arguments: &[&str]) -> Result<String> {
    let output = process::output(Command::new("git").current_dir(workspace::root()).args(arguments))?;
    Ok(output.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_of_this_workspace_is_found() {
        let text = fs::read_to_string(workspace::root().join(VERSION_FILE)).unwrap();
        assert!(version(&text).is_some(), "{VERSION_FILE}");
        assert_eq!(version("/// Doc\npub const VERSION: u32 = 17;\n"), Some(17));
        assert_eq!(version("const VERSION: u32 = x;"), None);
    }
}
