//! What NetworkPolicy costs: `cargo xtask policy`.
//!
//! Pods of one node whose policies have more and more rules are asked in turns, beside one that no policy selects, so that
//! whatever else the machine does meets all alike: what counts is the ratios. Then one label changes in clusters of more
//! and more rules and peers: what counts is the writes, which are exact.

mod change;
mod packet;

use std::io::Write as _;

use anyhow::Result;
use clap::Parser;
use tabwriter::TabWriter;

/// Numbers of rules, beside none.
const RULES: [u32; 3] = [10, 1_000, 10_000];

/// What NetworkPolicy costs: connections and requests beside unpoliced ones, and one label's change, by numbers of rules.
#[derive(Parser, Debug)]
struct Arguments {
    /// Rounds, in each of which every server is asked once
    #[arg(long, default_value_t = 4_000)]
    rounds: u32,
    /// Pods of the cluster in which a label changes
    #[arg(long, default_value_t = 100_000)]
    pods: u32,
    /// What cargo says to every benchmark
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    eprintln!("==> packets");
    let packets = packet::measure(&RULES, arguments.rounds)?;
    eprintln!("==> one label's change");
    let changes = change::measure(&RULES, arguments.pods)?;
    let mut table = TabWriter::new(std::io::stdout()).padding(3);
    writeln!(table, "RULES\tunpoliced\t{}", RULES.map(|rules| rules.to_string()).join("\t"))?;
    for row in packets {
        writeln!(table, "{row}")?;
    }
    writeln!(table, "\nONE LABEL'S CHANGE, BY RULES\t\t{}", RULES.map(|rules| rules.to_string()).join("\t"))?;
    for row in changes {
        writeln!(table, "{row}")?;
    }
    Ok(table.flush()?)
}
