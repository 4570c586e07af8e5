//! `sluice cleanup`.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::Args;

use super::{Bpffs, output};
use crate::dataplane::ebpf::cleanup::cleanup;
use crate::dataplane::iptables;
use crate::kube_proxy::{self, Leftovers};
use crate::status::Publisher;

/// Remove everything the agent of a directory ever attached or pinned
///
/// Traffic to Services is no longer served after it. A second time there is nothing left to remove, which is no error.
/// Refused while an agent runs on the directory: it would only put everything back.
#[derive(Debug, Args)]
pub(super) struct CleanupArgs {
    #[command(flatten)]
    bpffs: Bpffs,
    /// Remove what a kube-proxy left on this machine instead, as kube-proxy --cleanup does; an agent may run
    #[arg(long)]
    kube_proxy: bool,
}

pub(super) fn run(args: &CleanupArgs) -> anyhow::Result<ExitCode> {
    if args.kube_proxy { remove_kube_proxys() } else { remove_own(&args.bpffs.bpffs) }
}

/// Removes what the agent of a directory made.
pub(super) fn remove_own(bpffs: &Path) -> anyhow::Result<ExitCode> {
    // Held until the end, so that no agent starts in between.
    let status = Publisher::open(bpffs).context("nothing was removed")?;
    let mut removed = cleanup(bpffs)?;
    removed.extend(iptables::remove()?.then(|| "rules and sets of iptables mode".to_owned()));
    status.remove()?;
    if removed.is_empty() {
        eprintln!("Nothing to remove below {}.", bpffs.display());
    }
    output::write(&removed.iter().fold(String::new(), |text, what| text + what + " removed\n"))
}

/// Refused while a kube-proxy runs: it would only put everything back.
fn remove_kube_proxys() -> anyhow::Result<ExitCode> {
    if let Some(how) = kube_proxy::running() {
        bail!(
            "a kube-proxy runs here ({how}) and would put back what is removed; stop it first, in a cluster: kubectl -n \
             kube-system delete daemonset kube-proxy"
        );
    }
    let mut text = String::new();
    let removed = Leftovers::find().remove(|what| text += &(what + "\n"));
    if text.is_empty() && removed.is_ok() {
        eprintln!("Nothing of a kube-proxy is here.");
    }
    let written = output::write(&text);
    removed?;
    written
}
