//! `cargo xtask image`: an image of the agent for container runtimes, made without a container daemon.
//!
//! An image is a folder of files and three JSON documents that name each other by hash: a layout of the Open Container
//! Initiative. All of it follows from the sources: the same commit gives the same hash.

mod archive;
mod binary;
mod blobs;
mod check;
mod files;
mod layout;
mod origin;

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::Args;

use self::files::Files;
use self::layout::Layout;
use self::origin::Origin;
use crate::arch::Arch;
use crate::workspace;

/// The program a container starts, with the container's arguments.
const ENTRYPOINT: &str = "/usr/local/bin/sluice";
/// What a container finds programs by: `kubectl exec POD -- sluice status` works.
const PATH: &str = "/usr/local/bin";

/// Which image to make.
#[derive(Args)]
pub(crate) struct Image {
    /// The nodes it is for, as Kubernetes' label kubernetes.io/arch has it [default: this machine's]
    #[arg(long, value_enum)]
    arch: Option<Arch>,
    /// File to write, an OCI layout in a tar [default: target/image/sluice-VERSION-ARCH.tar]
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Name that the image gets where it is loaded
    #[arg(long, value_name = "NAME:TAG", default_value = concat!("sluice:", env!("CARGO_PKG_VERSION")))]
    tag: String,
    /// Write the image's files to a new directory instead, as deploy/Dockerfile has it
    #[arg(long, value_name = "DIR", conflicts_with_all = ["output", "tag", "check"])]
    root: Option<PathBuf>,
    /// Then unpack it, and run suites of the agent from there; takes root
    #[arg(long)]
    check: bool,
}

impl Image {
    pub(crate) fn run(&self) -> Result<()> {
        let arch = self.arch.map_or_else(Arch::host, Ok)?;
        if self.check {
            check::possible(arch)?;
        }
        let files = Files::new(&binary::build(arch)?)?;
        if let Some(root) = &self.root {
            return files.write(root);
        }
        let layout = Layout::new(&files, arch, &self.tag, &Origin::of_sources()?)?;
        let output = self.output.clone().unwrap_or_else(|| default_output(arch));
        fs::write(&output, layout.archive()?).with_context(|| format!("cannot write {}", output.display()))?;
        println!("{}: {} for {}, {}", output.display(), self.tag, arch.name(), layout.digest());
        if self.check { check::run(&output) } else { Ok(()) }
    }
}

fn default_output(arch: Arch) -> PathBuf {
    workspace::image_target().join(format!("sluice-{}-{}.tar", env!("CARGO_PKG_VERSION"), arch.name()))
}

#[cfg(test)]
mod tests;
