//! What this run is to measure.

use std::time::Duration;

use clap::Parser;
use lab::figures::{Measure, Mode};

/// What Sluice costs beside direct traffic, iptables mode and kube-proxy: every figure a ratio, by rounds.
#[derive(Parser, Clone, Debug)]
#[command(name = "cargo xtask bench", bin_name = "cargo xtask bench")]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub(crate) struct Plan {
    /// Measure only what has this in its name (`connect`, `NodePort`); may be repeated
    #[arg(long, value_name = "FIGURE")]
    only: Vec<String>,
    /// Modes, with commas between them; direct traffic is always measured [default: all that can be had]
    #[arg(long, value_delimiter = ',')]
    modes: Vec<Mode>,
    /// Rounds, in each of which every mode has its turn [default: 25; 3 with --quick]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: Option<u32>,
    /// Numbers of Services, with commas between them [default: 1,1000,5000,10000,30000,50000; 1,1000 with --quick]
    #[arg(long, value_delimiter = ',', value_parser = clap::value_parser!(u32).range(1..=60_000))]
    sizes: Vec<u32>,
    /// Every figure in about three minutes: few rounds, small sizes
    #[arg(long)]
    pub(crate) quick: bool,
    /// Minutes that a mode may take to get a size into the kernel; one that takes longer is left out from there on
    #[arg(long, default_value_t = 15, value_name = "MINUTES")]
    patience: u64,
    /// Print JSON instead of tables
    #[arg(long)]
    pub(crate) json: bool,
    /// Also add a summary to docs/benchmarks.md
    #[arg(long)]
    pub(crate) save: bool,
    /// What cargo says to every benchmark
    #[arg(long, hide = true)]
    bench: bool,
}

impl Plan {
    /// The modes, direct traffic first.
    pub(crate) fn modes(&self) -> Vec<Mode> {
        let wanted = |mode: &Mode| *mode == Mode::Direct || self.modes.is_empty() || self.modes.contains(mode);
        Mode::ALL.into_iter().filter(wanted).collect()
    }

    /// Whether a mode was asked for by its name.
    pub(crate) fn names(&self, mode: Mode) -> bool {
        self.modes.contains(&mode)
    }

    /// Numbers of Services, the least first.
    pub(crate) fn sizes(&self) -> Vec<u32> {
        let mut sizes = match (&self.sizes[..], self.quick) {
            ([], true) => vec![1, 1_000],
            ([], false) => vec![1, 1_000, 5_000, 10_000, 30_000, 50_000],
            (chosen, _) => chosen.to_vec(),
        };
        sizes.sort_unstable();
        sizes.dedup();
        sizes
    }

    /// Rounds of each figure.
    pub(crate) fn rounds(&self) -> u32 {
        self.rounds.unwrap_or(if self.quick { 3 } else { 25 })
    }

    /// How long one sample is measured.
    pub(crate) fn sample(&self) -> Duration {
        Duration::from_millis(if self.quick { 40 } else { 150 })
    }

    /// How long a mode may take to get a size into the kernel.
    pub(crate) fn patience(&self) -> Duration {
        Duration::from_mins(self.patience)
    }

    /// What `--only` says.
    pub(crate) fn only(&self) -> String {
        self.only.join(", ")
    }

    /// Whether a measure is to be taken.
    pub(crate) fn wants(&self, measure: &Measure) -> bool {
        let name = measure.name.to_lowercase();
        self.only.is_empty() || self.only.iter().any(|word| name.contains(&word.to_lowercase()))
    }
}
