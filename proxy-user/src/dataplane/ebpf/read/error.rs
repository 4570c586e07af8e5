//! Why the pinned tables can't be read.

use std::io;
use std::path::PathBuf;

use aya::maps::MapError;
use aya::programs::links::LinkError;
use proxy_common::tables::{self, Table};

use crate::dataplane::ebpf::Error;
use crate::explain::explain;

/// A reason the pinned tables or links can't be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// Nothing is pinned.
    #[error(
        "{}: no tables of Sluice here: no agent has started on this directory, or it was cleaned up; \
         name the directory of a running agent with --bpffs",
        bpffs.display()
    )]
    NotStarted {
        /// The directory looked in.
        bpffs: PathBuf,
    },
    /// Another build's tables are pinned.
    #[error(
        "{}: the tables here have layout {found}, and this sluice reads v{}; take the sluice of the agent that made them: in its pod, or of \
         its image",
        bpffs.display(),
        tables::VERSION
    )]
    OtherVersion {
        /// The directory looked in.
        bpffs: PathBuf,
        /// Layout found.
        found: String,
    },
    /// The versions that are pinned can't be listed.
    #[error("{}: {}; listing the tables takes root", bpffs.display(), explain(&**source))]
    Layouts {
        /// The directory looked in.
        bpffs: PathBuf,
        /// Why.
        source: Box<Error>,
    },
    /// The directory can't be looked into.
    #[error("{}: {source}; reading the tables takes root (CAP_BPF and access to the bpffs)", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// The kernel's answer.
        source: io::Error,
    },
    /// A pinned map can't be opened.
    #[error("table {table}: can't open {}: {}; reading the tables takes root (CAP_BPF)", path.display(), explain(source))]
    Open {
        /// Name of the table.
        table: &'static str,
        /// Path of the pin.
        path: PathBuf,
        /// The kernel's answer.
        source: MapError,
    },
    /// A pinned map isn't laid out as this build lays it out.
    #[error(
        "table {table} at {}: {property} is {got}, and this sluice expects {want}; \
         use the sluice of the agent that made it, or remove it with `sluice cleanup`",
        path.display()
    )]
    Layout {
        /// Name of the table.
        table: &'static str,
        /// Path of the pin.
        path: PathBuf,
        /// What differs.
        property: &'static str,
        /// What the kernel has.
        got: String,
        /// What we expect.
        want: String,
    },
    /// A table can't be read.
    #[error("table {table}: {}", explain(source))]
    Read {
        /// Name of the table.
        table: &'static str,
        /// The kernel's answer.
        source: MapError,
    },
    /// A pinned link can't be opened.
    #[error("link {}: {}", path.display(), explain(source))]
    Link {
        /// Path of the pin.
        path: PathBuf,
        /// The kernel's answer.
        source: LinkError,
    },
}

impl ReadError {
    pub(super) const fn read(table: Table, source: MapError) -> Self {
        Self::Read { table: table.name, source }
    }
}
