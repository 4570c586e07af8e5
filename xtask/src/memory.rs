//! `cargo xtask memory`: what an agent holds of a large cluster. The benchmark itself is `tests/benches/memory.rs`.

use std::ffi::OsString;

use anyhow::{Context as _, Result, bail};
use clap::Args;

use crate::{build, process, setup};

/// What to measure: `--services N`, `--pods N`; `--help` has them all
#[derive(Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Memory {
    /// Passed on to the benchmark
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<OsString>,
}

impl Memory {
    pub(crate) fn run(&self) -> Result<()> {
        if !rustix::process::geteuid().is_root() {
            bail!("the benchmark needs a lab, which needs root: sudo --preserve-env=HOME,PATH cargo xtask memory");
        }
        setup::network()?;
        build::everything(setup::ebpf()?, true)?;
        let mut command = process::cargo();
        command.args(["bench", "--package", "sluice-tests", "--bench", "memory", "--"]);
        process::run(command.args(&self.arguments)).context("the benchmark failed")
    }
}
