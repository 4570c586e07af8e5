//! `cargo xtask scale`: what a cluster's size costs. The benchmark itself is `proxy-user/benches/scale`.

use std::ffi::OsString;

use anyhow::{Context as _, Result, bail};
use clap::Args;

use crate::{build, process, setup, workspace};

/// What to measure: `--services N`, `--endpoints M`, `--changes C`, `--quick`, `-o json`; `--help` has them all
#[derive(Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Scale {
    /// Passed on to the benchmark
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<OsString>,
}

impl Scale {
    pub(crate) fn run(&self) -> Result<()> {
        let is_asked_for_help = self.arguments.iter().any(|argument| argument == "--help" || argument == "-h");
        if !is_asked_for_help && !rustix::process::geteuid().is_root() {
            bail!("kernel maps take root: sudo --preserve-env=HOME,PATH cargo xtask scale");
        }
        build::kernel_programs(setup::ebpf()?)?;
        let mut command = process::cargo();
        command.args(["bench", "--package", "proxy-user", "--bench", "scale", "--"]);
        command.arg("--save").arg(workspace::root().join("target/scale/scale.json"));
        process::run(command.args(&self.arguments)).context("the benchmark failed")
    }
}
