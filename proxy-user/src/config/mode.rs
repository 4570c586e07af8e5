//! Which dataplane serves: as it is asked for, and as it is.

use std::fmt;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use super::Config;

/// The dataplane that is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Programs in the kernel.
    #[default]
    Ebpf,
    /// Rules of iptables.
    Iptables,
    /// Programs where this kernel runs them, else rules.
    Auto,
}

/// A dataplane that serves.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DataplaneMode {
    /// Programs in the kernel.
    #[default]
    Ebpf,
    /// Rules of iptables.
    Iptables,
}

/// What [`Mode::Auto`] came to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Picked {
    /// The dataplane.
    pub mode: DataplaneMode,
    /// Why it, for people.
    pub reason: String,
}

impl Config {
    /// The dataplane that is to serve; programs, while nobody picked for [`Mode::Auto`].
    #[must_use]
    pub fn dataplane(&self) -> DataplaneMode {
        match (self.mode, &self.picked) {
            (Mode::Iptables, _) => DataplaneMode::Iptables,
            (Mode::Auto, Some(picked)) => picked.mode,
            (Mode::Ebpf | Mode::Auto, _) => DataplaneMode::Ebpf,
        }
    }
}

impl From<DataplaneMode> for Mode {
    fn from(mode: DataplaneMode) -> Self {
        match mode {
            DataplaneMode::Ebpf => Self::Ebpf,
            DataplaneMode::Iptables => Self::Iptables,
        }
    }
}

impl DataplaneMode {
    /// Its name, as `/proxyMode` has it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ebpf => "ebpf",
            Self::Iptables => "iptables",
        }
    }
}

impl fmt::Display for DataplaneMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
