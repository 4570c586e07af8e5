//! The kinds of machine there are images for.

use std::env::consts::ARCH;

use anyhow::{Result, bail};
use clap::ValueEnum;

/// Processor, by Kubernetes' and the Open Container Initiative's name.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum Arch {
    /// `x86_64`
    Amd64,
    /// `aarch64`
    Arm64,
}

impl Arch {
    /// That of this machine.
    pub(crate) fn host() -> Result<Self> {
        match ARCH {
            "x86_64" => Ok(Self::Amd64),
            "aarch64" => Ok(Self::Arm64),
            other => bail!("there are images for amd64 and arm64, and this machine is {other}: say which with --arch"),
        }
    }

    /// Kubernetes' and Debian's name.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Amd64 => "amd64",
            Self::Arm64 => "arm64",
        }
    }

    /// rustc's and GNU's name.
    pub(crate) const fn gnu(self) -> &'static str {
        match self {
            Self::Amd64 => "x86_64",
            Self::Arm64 => "aarch64",
        }
    }

    /// rustc's target.
    pub(crate) fn target(self) -> String {
        format!("{}-unknown-linux-gnu", self.gnu())
    }

    /// Whether programs for it run here.
    pub(crate) fn is_host(self) -> bool {
        self.gnu() == ARCH
    }
}
