//! `sluice completion`.

use std::process::ExitCode;

use clap::{Args, CommandFactory as _};
use clap_complete::{Shell, generate};

use super::{Cli, output};

/// Print a script that teaches a shell to complete sluice's command line
///
/// For bash: source <(sluice completion bash)
#[derive(Debug, Args)]
pub(super) struct CompletionArgs {
    /// The shell
    shell: Shell,
}

pub(super) fn run(args: &CompletionArgs) -> anyhow::Result<ExitCode> {
    let mut script = Vec::new();
    generate(args.shell, &mut Cli::command(), "sluice", &mut script);
    output::write(&String::from_utf8(script)?)
}
