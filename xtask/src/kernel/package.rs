//! The kernel to boot: a package of the distribution, unpacked and not installed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::setup::apt;
use crate::{process, workspace};

/// A kernel and its modules.
pub(super) struct Package {
    /// Below it are `boot` and `lib/modules`.
    pub(super) root: PathBuf,
    /// As `uname -r` says it.
    pub(super) release: String,
}

impl Package {
    /// The newest kernel of a series, such as `6.1` or `6.1.0-50`, that apt offers.
    ///
    /// # Errors
    /// Where apt offers none, or it can't be had.
    pub(super) fn fetch(series: &str) -> Result<Self> {
        let name = newest(series).or_else(|| {
            apt::refresh();
            newest(series)
        });
        let name =
            name.with_context(|| format!("apt offers no linux-image-{series}*-cloud-amd64: try --kernel 6.1"))?;
        let root = workspace::root().join("target/kernel").join(&name);
        if !root.is_dir() {
            download(&name, &root)?;
        }
        let release = name.trim_start_matches("linux-image-").to_owned();
        Ok(Self { root, release })
    }

    pub(super) fn image(&self) -> PathBuf {
        self.root.join(format!("boot/vmlinuz-{}", self.release))
    }

    /// Relative to the root.
    pub(super) fn modules(&self) -> PathBuf {
        Path::new("lib/modules").join(&self.release)
    }
}

fn newest(series: &str) -> Option<String> {
    let series = series.replace('.', r"\.").replace('+', r"\+");
    let names = apt::search(&format!("^linux-image-{series}([.+-].*)?-cloud-amd64$"));
    let versions = apt::candidates(&names).into_iter();
    versions.map(|(name, version)| (numbers(&version), name)).max().map(|(_, name)| name)
}

/// The numbers in a version, by which versions of one series are in order.
fn numbers(version: &str) -> Vec<u64> {
    version.split(|c: char| !c.is_ascii_digit()).filter_map(|digits| digits.parse().ok()).collect()
}

/// Unpacked beside and renamed, so that a download that was interrupted isn't taken for a kernel.
fn download(name: &str, root: &Path) -> Result<()> {
    let partial = root.with_extension("partial");
    if partial.exists() {
        fs::remove_dir_all(&partial).with_context(|| format!("cannot remove {}", partial.display()))?;
    }
    fs::create_dir_all(&partial).with_context(|| format!("cannot make {}", partial.display()))?;
    process::output(Command::new("apt-get").args(["download", "-q", name]).current_dir(&partial))?;
    let entries = fs::read_dir(&partial).with_context(|| format!("cannot list {}", partial.display()))?;
    let archive = entries.flatten().map(|entry| entry.path()).next().context("apt-get download left no file")?;
    process::output(Command::new("dpkg-deb").arg("-x").args([&archive, &partial]))?;
    fs::remove_file(&archive).with_context(|| format!("cannot remove {}", archive.display()))?;
    fs::rename(&partial, root).with_context(|| format!("cannot rename {}", partial.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_in_the_order_of_their_numbers() {
        assert!(numbers("6.1.192-2") > numbers("6.1.99-10"));
        assert!(numbers("6.12.117-1~deb12u1") > numbers("6.12.99-1"));
    }
}
