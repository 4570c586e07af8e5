//! A rustc that can build the kernel programs: recent enough, and with the sources of its library, because no one ships
//! `core` compiled for BPF. The release channel doesn't matter: `RUSTC_BOOTSTRAP` opens build-std on a stable one.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};

use super::version::Version;
use crate::process;

/// Which tool looks after a toolchain, and so can add clippy to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Keeper {
    /// The user's rustup, by the toolchain's name.
    Rustup(String),
    /// The distribution, by the package its rustc is in.
    Distribution,
    /// This xtask, below the workspace's `target`.
    Xtask,
}

/// A toolchain that was looked at and will do.
#[derive(Clone, Debug)]
pub(crate) struct Toolchain {
    /// The folder that holds its `bin` and `lib`.
    pub(crate) sysroot: PathBuf,
    pub(crate) release: Version,
    /// Major version of its LLVM; bpf-linker's must not be older.
    pub(crate) llvm: u32,
    pub(crate) keeper: Keeper,
}

impl Toolchain {
    /// Looks at the toolchain `rustc` is part of.
    ///
    /// # Errors
    /// Says why it can't build the kernel programs.
    pub(crate) fn probe(rustc: &Path, keeper: Keeper) -> Result<Self> {
        let sysroot = process::output(Command::new(rustc).args(["--print", "sysroot"]))?;
        let sysroot = PathBuf::from(sysroot.trim());
        let version = process::output(Command::new(rustc).arg("-vV"))?;
        let (release, llvm) = parse_verbose_version(&version)
            .with_context(|| format!("cannot read the version of {}", rustc.display()))?;
        ensure!(release >= Version::minimum(), "rustc {release} is older than {}", Version::minimum());
        let found = Self { sysroot, release, llvm, keeper };
        for part in [found.tool("cargo"), found.sysroot.join("lib/rustlib/src/rust/library/Cargo.lock")] {
            if !part.is_file() {
                bail!("rustc {release} has no {}", part.display());
            }
        }
        Ok(found)
    }

    /// A program of this toolchain.
    pub(crate) fn tool(&self, name: &str) -> PathBuf {
        self.sysroot.join("bin").join(name)
    }
}

impl fmt::Display for Toolchain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rustc {} with LLVM {}, ", self.release, self.llvm)?;
        match &self.keeper {
            Keeper::Rustup(name) => write!(f, "rustup's {name}"),
            Keeper::Distribution => write!(f, "the distribution's {}", self.tool("rustc").display()),
            Keeper::Xtask => write!(f, "installed under {}", self.sysroot.display()),
        }
    }
}

/// Reads release and LLVM major from `rustc -vV`.
fn parse_verbose_version(text: &str) -> Result<(Version, u32)> {
    let field = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.with_context(|| format!("`rustc -vV` has no line \"{name}\""))
    };
    let llvm = field("LLVM version: ")?;
    let major = llvm.split('.').next().unwrap_or_default();
    let major = major.parse().with_context(|| format!("LLVM version {llvm} doesn't start with a number"))?;
    Ok((Version::parse(field("release: ")?)?, major))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn release_and_llvm_are_read_from_a_nightly() {
        let text =
            "rustc 1.97.0-nightly (abc 2026-04-14)\nbinary: rustc\nrelease: 1.97.0-nightly\nLLVM version: 22.1.2\n";
        assert_eq!(parse_verbose_version(text).unwrap(), (Version::parse("1.97.0").unwrap(), 22));
    }

    #[test]
    fn a_rustc_without_llvm_is_refused_by_the_missing_line() {
        let error = parse_verbose_version("rustc 1.97.0\nrelease: 1.97.0\n").unwrap_err();
        assert!(error.to_string().contains("LLVM version"), "{error}");
    }

    #[test]
    fn a_program_that_is_not_rustc_is_refused() {
        assert!(Toolchain::probe(Path::new("/bin/false"), Keeper::Distribution).is_err());
    }
}
