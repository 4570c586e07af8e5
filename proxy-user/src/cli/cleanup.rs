//! `sluice cleanup`.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;

use super::{Bpffs, output};
use crate::dataplane::ebpf::cleanup::cleanup;
use crate::status::Publisher;

/// Remove everything the agent of a directory ever attached or pinned
///
/// Traffic to Services is no longer served after it. A second time there is nothing left to remove, which is no error.
/// Refused while an agent runs on the directory: it would only put everything back.
#[derive(Debug, Args)]
pub(super) struct CleanupArgs {
    #[command(flatten)]
    bpffs: Bpffs,
}

pub(super) fn run(args: &CleanupArgs) -> anyhow::Result<ExitCode> {
    remove_own(&args.bpffs.bpffs)
}

/// Removes what the agent of a directory made.
pub(super) fn remove_own(bpffs: &Path) -> anyhow::Result<ExitCode> {
    // Held until the end, so that no agent starts in between.
    let status = Publisher::open(bpffs).context("nothing was removed")?;
    let removed = cleanup(bpffs)?;
    status.remove()?;
    if removed.is_empty() {
        eprintln!("Nothing to remove below {}.", bpffs.display());
    }
    output::write(&removed.iter().fold(String::new(), |text, what| text + what + " removed\n"))
}
