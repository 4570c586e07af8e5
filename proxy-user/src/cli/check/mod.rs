//! `sluice check`: what manifests mean to NetworkPolicy, by the decision that the programs take, on tables as the agent would
//! write them.

mod cluster;
mod ends;
mod lines;
mod matrix;
mod names;
mod regions;
mod report;
mod told;
mod traffic;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use self::cluster::Cluster;
use self::report::Report;
use super::output::{self, Format};

/// Tell who may talk to whom by manifests, and what is wrong with them
///
/// With a second directory: what would change. Nothing on the machine is looked at or changed. Exits with 1 when something
/// is wrong with an object.
#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    /// Directory of manifests
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// The directory that would take its place
    #[arg(value_name = "DIR2")]
    next: Option<PathBuf>,
    /// How to print it
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

pub(super) fn run(args: &CheckArgs) -> anyhow::Result<ExitCode> {
    let report = check(args)?;
    output::write(&match args.output {
        Format::Text => told::text(&report)?,
        Format::Json => output::json(&report)?,
        Format::Yaml => output::yaml(&report)?,
    })?;
    Ok(if report.has_problems() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn check(args: &CheckArgs) -> anyhow::Result<Report> {
    let cluster = Cluster::read(&args.dir)?;
    let next = args.next.as_deref().map(Cluster::read).transpose()?;
    Ok(match &next {
        None => Report::of(&cluster),
        Some(next) => Report::between(&cluster, next),
    })
}

#[cfg(test)]
mod tests;
