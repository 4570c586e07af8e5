//! `cargo xtask bench`: ratios to direct traffic, mode by mode. The benchmark itself is `tests/benches/bench`.

use std::ffi::OsString;

use anyhow::{Context as _, Result, bail};
use clap::Args;

use crate::{build, process, setup};

/// What to measure: `--quick`, `--modes`, `--sizes`, `--rounds`, `--only FIGURE`, `--save`; `--help` has them all
#[derive(Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Bench {
    /// Passed on to the benchmark
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<OsString>,
}

impl Bench {
    pub(crate) fn run(&self) -> Result<()> {
        let is_asked_for_help = self.arguments.iter().any(|argument| argument == "--help" || argument == "-h");
        if !is_asked_for_help && !rustix::process::geteuid().is_root() {
            bail!("the benchmark needs a lab, which needs root: sudo --preserve-env=HOME,PATH cargo xtask bench");
        }
        setup::network()?;
        build::everything(setup::ebpf()?, true)?;
        let mut command = process::cargo();
        command.args(["bench", "--package", "sluice-tests", "--bench", "bench", "--"]);
        process::run(command.args(&self.arguments)).context("the benchmark failed")
    }
}
