//! Versions of Rust, as far as they decide what builds what.

use std::fmt;

use anyhow::{Context as _, Result};

/// Major and minor; patch releases don't matter here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Version {
    major: u32,
    minor: u32,
}

impl Version {
    /// Reads the start of `1.96.0`, `1.97.0-nightly` or of a package's `1.96.0+dfsg1-1`.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let mut parts = text.split('.').map(str::parse);
        match (parts.next(), parts.next()) {
            (Some(Ok(major)), Some(Ok(minor))) => Ok(Self { major, minor }),
            _ => Err(anyhow::anyhow!("\"{text}\" isn't a version like 1.96.0")),
        }
    }

    /// The workspace's `rust-version`, which cargo holds the kernel programs' compiler to as well.
    pub(crate) fn minimum() -> Self {
        Self::parse(env!("CARGO_PKG_RUST_VERSION")).context("rust-version of the workspace").expect("cargo checked it")
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_by_number_and_not_by_letter() {
        assert!(Version::parse("1.100.0").unwrap() > Version::parse("1.96.0+dfsg1-1~deb12u2").unwrap());
    }

    #[test]
    fn an_epoch_or_a_word_is_no_version() {
        assert!(Version::parse("1:14.0-55").is_err());
        assert!(Version::parse("(none)").is_err());
    }
}
