//! The command line, with kubectl's manners: data on standard output, everything else on standard error.
//!
//! Exit codes: 0 for success, 1 for a failure (and for "no" where a command answers a question: `status`, `doctor`,
//! `check`),
//! 2 for a command line or configuration that isn't understood.

mod agent;
mod check;
mod cleanup;
mod clock;
mod completion;
mod doctor;
mod explain;
mod get;
mod install;
mod monitor;
mod names;
mod output;
mod policies;
mod status;
mod support_bundle;
mod version;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::config::{ConfigError, DEFAULT_BPFFS};
use crate::logging;

/// Service proxy of a Kubernetes node on eBPF.
#[derive(Debug, Parser)]
#[command(
    name = "sluice",
    version,
    propagate_version = true,
    subcommand_required = true,
    arg_required_else_help = true
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Agent(agent::AgentArgs),
    Get(get::GetArgs),
    Explain(explain::ExplainArgs),
    Check(check::CheckArgs),
    Monitor(monitor::MonitorArgs),
    Status(status::StatusArgs),
    Doctor(doctor::DoctorArgs),
    Cleanup(cleanup::CleanupArgs),
    SupportBundle(support_bundle::SupportBundleArgs),
    Install(install::InstallArgs),
    Version(version::VersionArgs),
    Completion(completion::CompletionArgs),
}

/// Which agent's tables: one directory an agent.
#[derive(Debug, Args)]
struct Bpffs {
    /// Directory on a bpffs where the agent pins its maps and links
    #[arg(long, value_name = "DIR", env = "SLUICE_BPFFS", default_value = DEFAULT_BPFFS)]
    bpffs: PathBuf,
}

/// Runs the process's command line.
#[must_use]
pub fn main() -> ExitCode {
    run(Cli::parse().command).unwrap_or_else(|error| {
        logging::report(error.as_ref());
        ExitCode::from(if error.is::<ConfigError>() { 2 } else { 1 })
    })
}

fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Agent(args) => agent::run(args),
        Command::Get(args) => get::run(&args),
        Command::Explain(args) => explain::run(&args),
        Command::Check(args) => check::run(&args),
        Command::Monitor(args) => monitor::run(&args),
        Command::Status(args) => status::run(&args),
        Command::Doctor(args) => doctor::run(&args),
        Command::Cleanup(args) => cleanup::run(&args),
        Command::SupportBundle(args) => support_bundle::run(&args),
        Command::Install(args) => install::run(&args),
        Command::Version(args) => version::run(&args),
        Command::Completion(args) => completion::run(&args),
    }
}
