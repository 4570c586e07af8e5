//! `cargo xtask fuzz`: the reference of NetworkPolicy against the plan and the loaded programs, case after case. The cases
//! and what judges them are `tests/src/policy` and `tests/tests/program/policy_model`.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result};
use clap::Args;

use crate::{build, process, setup};

/// How much, and where to begin
#[derive(Args)]
pub(crate) struct Fuzz {
    /// Stop after so many seconds
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Stop after so many cases, however long they take
    #[arg(long, conflicts_with = "seconds")]
    cases: Option<u64>,
    /// The first case: each has a number, and the same number is the same case. Any, if it isn't given
    #[arg(long)]
    seed: Option<u64>,
}

/// As good as without end.
const YEAR: u64 = 365 * 24 * 3600;

impl Fuzz {
    pub(crate) fn run(&self) -> Result<()> {
        if rustix::process::geteuid().is_root() {
            build::kernel_programs(setup::ebpf()?)?;
        } else {
            println!("without root, the loaded programs are left out: sudo --preserve-env=HOME,PATH cargo xtask fuzz");
        }
        let seed = self.seed.unwrap_or_else(any_seed);
        let seconds = if self.cases.is_some() { YEAR } else { self.seconds };
        let mut command = process::cargo();
        command.args([
            "test",
            "--release",
            "--package",
            "sluice-tests",
            "--test",
            "program",
            "policy_model::fuzz::fuzz",
        ]);
        command.args(["--", "--exact", "--ignored", "--nocapture"]);
        command.env("SLUICE_FUZZ_SEED", seed.to_string()).env("SLUICE_FUZZ_SECONDS", seconds.to_string());
        if let Some(cases) = self.cases {
            command.env("SLUICE_FUZZ_CASES", cases.to_string());
        }
        process::run(&mut command).context("the smallest failing cluster is above, and below target/fuzz by its seed")
    }
}

/// The time: a run a day later tries other cases.
fn any_seed() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() << 32)
}
