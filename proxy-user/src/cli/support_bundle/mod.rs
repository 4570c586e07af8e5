//! `sluice support-bundle`.

mod archive;
mod http;
mod kernel;
mod network;
mod parts;

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use jiff::Timestamp;

use self::archive::Archive;
use super::Bpffs;

/// Write into one file what helps to tell why this node does what it does
///
/// The file is a tar.gz of JSON and text, as the other commands print it: version, status, the agent's configuration,
/// doctor, Services, backends, flows, policies, identities, drops, metrics and health; the node's interfaces, addresses,
/// routes and the kernel settings that matter here; the kernel's version and options; the BPF programs that are loaded.
/// So it has the names of Services, policies, Pods and interfaces, and the addresses of the node, its pods and their
/// clients. It has no manifest, no kubeconfig, token or key, no environment, no packet, and no log.
///
/// It needs no agent that runs. What couldn't be had is in contents.json, with the reason.
#[derive(Debug, Args)]
pub(super) struct SupportBundleArgs {
    #[command(flatten)]
    bpffs: Bpffs,
    /// File to write; - for standard output [default: sluice-support-NODE-TIME.tar.gz]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Rows of one list at most; how many were left out is in the list
    #[arg(long, value_name = "ROWS", default_value_t = 10_000)]
    limit: usize,
}

pub(super) fn run(args: &SupportBundleArgs) -> anyhow::Result<ExitCode> {
    let now = Timestamp::now();
    let name = format!("sluice-support-{}-{}", host_name(), now.strftime("%Y%m%dT%H%M%SZ"));
    let path = args.output.clone().unwrap_or_else(|| format!("{name}.tar.gz").into());
    let failed = || format!("{}: can't write the bundle; name another file with --output", path.display());
    if path.as_os_str() == "-" {
        return write(io::stdout().lock(), &name, now, args).context("can't write the bundle to standard output");
    }
    // For the eyes of who makes it, and never over another.
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).with_context(failed)?;
    let done = write(file, &name, now, args).with_context(failed)?;
    eprintln!("{} is written. Look through it before you give it away: --help says what is in it.", path.display());
    Ok(done)
}

fn write(to: impl Write, name: &str, now: Timestamp, args: &SupportBundleArgs) -> io::Result<ExitCode> {
    let mut archive = Archive::new(to, name, now);
    parts::add(&mut archive, &args.bpffs, args.limit)?;
    for (file, error) in archive.finish()? {
        eprintln!("{file} is not in it: {error}");
    }
    Ok(ExitCode::SUCCESS)
}

fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}
