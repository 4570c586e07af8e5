//! `sluice agent`.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{ArgAction, Args};
use tokio::runtime::Builder;

use super::{cleanup, output};
use crate::agent;
use crate::config::{Config, ConfigError, Ignored, KubeProxyFlags, LogFormat, Picked, Settings, Sources};
use crate::logging;
use crate::preflight::{self, Needs};

/// Serve Services on this node until told to end (SIGTERM, SIGINT)
///
/// The dataplane stays in place when the agent ends, however it ends; `sluice cleanup` removes it.
#[derive(Debug, Args)]
pub(super) struct AgentArgs {
    #[command(flatten)]
    settings: Settings,
    #[command(flatten)]
    kube_proxy: KubeProxyFlags,
    /// YAML file of the same settings: each flag's name in camelCase (devices for --device); or kube-proxy's own
    /// (`KubeProxyConfiguration`). Flags win over it
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print the resulting configuration as a file, and exit
    #[arg(long)]
    print_config: bool,
    /// Write the resulting configuration to a file, and exit
    #[arg(long, value_name = "FILE", hide = true)]
    write_config_to: Option<PathBuf>,
    /// Check that this machine has what the agent needs, and exit
    #[arg(long, value_name = "BOOL", hide = true, num_args = 0..=1, require_equals = true, default_value = "false", default_missing_value = "true", action = ArgAction::Set)]
    init_only: bool,
    /// Remove what an agent left in the kernel, and exit
    #[arg(long, value_name = "BOOL", hide = true, num_args = 0..=1, require_equals = true, default_value = "false", default_missing_value = "true", action = ArgAction::Set)]
    cleanup: bool,
}

pub(super) fn run(args: AgentArgs) -> anyhow::Result<ExitCode> {
    let (mut config, sources) = configuration(args.settings, args.kube_proxy, args.config)?;
    if args.print_config {
        return output::write(&config.to_yaml());
    }
    if let Some(path) = args.write_config_to {
        fs::write(&path, config.to_yaml()).with_context(|| format!("{} (flag --write-config-to)", path.display()))?;
        return Ok(ExitCode::SUCCESS);
    }
    if args.cleanup {
        return cleanup::remove_own(&config.bpffs);
    }
    logging::init(config.log_format);
    for Ignored { name, value, reason } in &config.ignored {
        tracing::info!(name, value, reason, "a setting of kube-proxy's is ignored");
    }
    let needs = Needs::from(&config);
    preflight::require(&needs)?;
    config.picked = preflight::pick(&needs);
    if let Some(Picked { mode, reason }) = &config.picked {
        tracing::info!(%mode, reason, "picked what serves");
    }
    if args.init_only {
        return Ok(ExitCode::SUCCESS);
    }
    let runtime = Builder::new_multi_thread().enable_all().build()?;
    let ended = runtime.block_on(agent::run(config, sources));
    // What still runs, as the sweep of flows, waits for nothing that is lost by its end.
    runtime.shutdown_background();
    ended.map(|()| ExitCode::SUCCESS)
}

fn configuration(
    settings: Settings,
    kube_proxy: KubeProxyFlags,
    file: Option<PathBuf>,
) -> Result<(Config, Sources), ConfigError> {
    let flags = settings.or(kube_proxy.settings()?);
    // A flag decides how even this is told; what the file says of it is known once the file could be read.
    log_as(flags.log_format);
    let sources = Sources { flags, file };
    let settings = sources.settings()?;
    log_as(settings.log_format);
    Ok((settings.resolve()?, sources))
}

/// Starts logging where it is to be for programs; for people, an error that comes first is no log line.
fn log_as(format: Option<LogFormat>) {
    if format == Some(LogFormat::Json) {
        logging::init(LogFormat::Json);
    }
}
