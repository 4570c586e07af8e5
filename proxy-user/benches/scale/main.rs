//! What a cluster's size costs: `cargo xtask scale`.
//!
//! Measures the agent's own library on a kernel's own maps, then the agent itself on a directory of manifests, at three
//! sizes side by side. Numbers of writes are exact; times are this machine's, so the ratios between sizes come first.

mod agent;
mod change;
mod first;
mod objects;
mod place;
mod print;
mod process;
mod report;
mod stopwatch;

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, ensure};
use clap::{Parser, ValueEnum};

use self::objects::Objects;
use self::place::Place;
use self::report::Report;

/// What a cluster's size costs: first full state, restart, and one endpoint's change, at three sizes side by side.
#[derive(Parser, Debug)]
struct Arguments {
    /// Services of the largest size; the others have a tenth and a hundredth
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(100..=60_000))]
    services: u32,
    /// Endpoints of each Service
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(2..=100))]
    endpoints: u32,
    /// Changes of one endpoint at each size; a tenth as many for the agent itself
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(10..))]
    changes: u32,
    /// 1,000 Services instead of 10,000
    #[arg(long, conflicts_with = "services")]
    quick: bool,
    /// Form of the result
    #[arg(short, long, value_enum, default_value_t = Output::Table)]
    output: Output,
    /// Also write the result as JSON to this file
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
    /// What cargo says to every benchmark
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Clone, Copy, ValueEnum, Debug)]
enum Output {
    Table,
    Json,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let largest = if arguments.quick { 1_000 } else { arguments.services };
    let sizes = [largest / 100, largest / 10, largest];
    // First of all: what is unshared is this thread's, and what starts later is to share it.
    let place = Place::new()?;
    let objects = sizes.map(|services| Objects { services, endpoints: arguments.endpoints });
    let mut report = Report::new(objects.map(|it| it.services), arguments.endpoints, arguments.changes);
    let mut running = Vec::new();
    for objects in objects {
        eprintln!("==> first full state of {} Services", objects.services);
        let (first, ready) = first::measure(&place, objects)?;
        report.first.push(first);
        running.push(ready);
    }
    eprintln!("==> {} changes of one endpoint at each size", arguments.changes);
    report.change = change::measure(&mut running, arguments.changes)?;
    for ready in running {
        report.restart.push(first::restart(&place, ready)?);
    }
    eprintln!("==> the agent itself");
    report.agent = agent::measure(&place, objects, arguments.changes.div_ceil(10))?;
    let json = serde_json::to_string_pretty(&report)? + "\n";
    if let Some(path) = &arguments.save {
        let folder = path.parent().context("--save names no file")?;
        fs::create_dir_all(folder).and_then(|()| fs::write(path, &json)).with_context(|| path.display().to_string())?;
    }
    match arguments.output {
        Output::Table => print!("{}", print::tables(&report)?),
        Output::Json => print!("{json}"),
    }
    ensure!(report.restart.iter().all(|it| it.writes == 0), "a restart wrote entries that were there");
    Ok(())
}
