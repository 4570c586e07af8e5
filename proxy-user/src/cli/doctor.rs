//! `sluice doctor`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::Bpffs;
use super::output::{self, Format};
use crate::config::{Mode, SocketLb};
use crate::preflight::{Check, Needs, Outcome, network_plugin, preflight};

/// Check that this machine has what the agent needs: what is wrong, and how to mend it
///
/// Exits with 1 when something fails. Nothing on the machine is changed.
#[derive(Debug, Args)]
pub(super) struct DoctorArgs {
    #[command(flatten)]
    bpffs: Bpffs,
    /// What would serve
    #[arg(long, value_name = "MODE", value_enum, default_value_t)]
    mode: Mode,
    /// cgroup v2 directory the agent would use [default: the cgroup v2 mount]
    #[arg(long, value_name = "DIR")]
    cgroup: Option<PathBuf>,
    /// Who would get Services translated at the socket
    #[arg(long, value_name = "WHO", value_enum, default_value_t)]
    socket_lb: SocketLb,
    /// How to print it
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

pub(super) fn run(args: &DoctorArgs) -> anyhow::Result<ExitCode> {
    let needs = Needs {
        mode: args.mode,
        bpffs: args.bpffs.bpffs.clone(),
        cgroup: args.cgroup.clone(),
        socket_lb: args.socket_lb,
    };
    let mut checks = preflight(&needs);
    checks.push(network_plugin());
    output::write(&match args.output {
        Format::Text => output::table(checks.iter().flat_map(lines))?,
        Format::Json => output::json(&checks)?,
        Format::Yaml => output::yaml(&checks)?,
    })?;
    let failed = checks.iter().any(|check| check.outcome == Outcome::Fail);
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// The check, and below it how to mend what it found.
fn lines(check: &Check) -> Vec<Vec<String>> {
    let outcome = match check.outcome {
        Outcome::Ok => "OK",
        Outcome::Warn => "WARN",
        Outcome::Fail => "FAIL",
    };
    let line = |cells: [&str; 3]| cells.map(String::from).to_vec();
    let mend = check.mend.map(|mend| line(["", "", &format!("-> {mend}")]));
    std::iter::once(line([outcome, check.name, &check.found])).chain(mend).collect()
}
