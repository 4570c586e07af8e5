//! The benchmark: `cargo xtask bench`.
//!
//! Each part measures some figures in every mode. All modes' labs stand at the same time and take turns round by round, so
//! that whatever else the machine does meets all of them; a figure is a ratio to direct traffic of the same round.

mod losses;
mod output;
mod packets;
mod plan;
mod policies;
mod programming;
mod sluice;
mod stand;
mod traffic;

use std::env;

use anyhow::{Result, bail, ensure};
use clap::Parser as _;
use lab::figures::{Environment, Progress, Report};

use self::plan::Plan;

/// Some figures that are measured together.
struct Part {
    /// What they are about.
    name: &'static str,
    /// How many steps of progress it takes.
    steps: fn(&Plan) -> u32,
    /// Measures them.
    run: fn(&Plan, &mut Report, &mut Progress) -> Result<()>,
}

/// In the order in which they are measured.
const PARTS: [Part; 5] = [
    Part { name: "traffic", steps: traffic::steps, run: traffic::run },
    Part { name: "policies", steps: policies::steps, run: policies::measure },
    Part { name: "programming", steps: programming::steps, run: programming::measure },
    Part { name: "losses", steps: losses::steps, run: losses::measure },
    Part { name: "packets", steps: packets::steps, run: packets::measure },
];

fn main() -> Result<()> {
    let plan = Plan::parse();
    let arguments: Vec<_> = env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let command = ["cargo xtask bench".to_owned()].into_iter().chain(arguments).collect::<Vec<_>>().join(" ");
    let today = jiff::Zoned::now().date().to_string();
    let mut report = Report::new(Environment::here(today, command));
    let steps = PARTS.iter().map(|part| (part.steps)(&plan)).sum();
    ensure!(steps > 0, "no figure has \"{}\" in its name", plan.only());
    let mut progress = Progress::new(steps);
    let mut failed = Vec::new();
    for part in PARTS {
        // What the others measure is worth having all the same.
        if let Err(error) = (part.run)(&plan, &mut report, &mut progress) {
            report.leave_out(format!("{}: {error:#}", part.name));
            failed.push(part.name);
        }
    }
    progress.end();
    output::write(&plan, &report)?;
    if !failed.is_empty() {
        bail!("not everything could be measured: {}; the report says why", failed.join(", "));
    }
    Ok(())
}
