//! `sluice version`.

use std::process::ExitCode;

use clap::Args;
use proxy_common::tables;
use serde::Serialize;

use super::output::{self, Format};

/// Print the version of this binary and of the table layouts it reads
#[derive(Debug, Args)]
pub(super) struct VersionArgs {
    /// How to print it
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Build {
    version: &'static str,
    table_layout: u32,
    architecture: &'static str,
}

/// What this binary is.
pub(super) fn build() -> Build {
    Build { version: env!("CARGO_PKG_VERSION"), table_layout: tables::VERSION, architecture: std::env::consts::ARCH }
}

pub(super) fn run(args: &VersionArgs) -> anyhow::Result<ExitCode> {
    let build = build();
    output::write(&match args.output {
        Format::Text => {
            let Build { version, table_layout, architecture } = build;
            format!("sluice {version} (table layout v{table_layout}, {architecture})\n")
        }
        Format::Json => output::json(&build)?,
        Format::Yaml => output::yaml(&build)?,
    })
}
