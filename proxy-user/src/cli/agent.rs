//! `sluice agent`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use tokio::runtime::Builder;

use super::output;
use crate::agent;
use crate::config::{Config, ConfigError, LogFormat, Settings};
use crate::logging;
use crate::preflight::{self, Needs};

/// Serve Services on this node until told to end (SIGTERM, SIGINT)
///
/// The dataplane stays in place when the agent ends, however it ends; `sluice cleanup` removes it.
#[derive(Debug, Args)]
pub(super) struct AgentArgs {
    #[command(flatten)]
    settings: Settings,
    /// YAML file of the same settings: each flag's name in camelCase (devices for --device); flags win over it
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print the resulting configuration as a file, and exit
    #[arg(long)]
    print_config: bool,
}

pub(super) fn run(args: AgentArgs) -> anyhow::Result<ExitCode> {
    let print_config = args.print_config;
    let config = configuration(args)?;
    if print_config {
        return output::write(&config.to_yaml());
    }
    logging::init(config.log_format);
    preflight::require(&Needs::from(&config))?;
    let runtime = Builder::new_multi_thread().enable_all().build()?;
    let ended = runtime.block_on(agent::run(config));
    // What still runs is the sweep of flows, which waits for nothing.
    runtime.shutdown_background();
    ended.map(|()| ExitCode::SUCCESS)
}

fn configuration(args: AgentArgs) -> Result<Config, ConfigError> {
    // A flag decides how even this is told; what the file says of it is known once the file could be read.
    log_as(args.settings.log_format);
    let file = args.config.as_deref().map(Settings::read).transpose()?.unwrap_or_default();
    let settings = args.settings.or(file);
    log_as(settings.log_format);
    settings.resolve()
}

/// Starts logging where it is to be for programs; for people, an error that comes first is no log line.
fn log_as(format: Option<LogFormat>) {
    if format == Some(LogFormat::Json) {
        logging::init(LogFormat::Json);
    }
}
