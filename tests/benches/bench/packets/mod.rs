//! What a packet costs in each of the kernel programs, by path, and what the programs cost the verifier.
//!
//! The kernel runs them on packets of ours (`BPF_PROG_TEST_RUN`) and takes the time. The paths take turns in every round.

#[path = "../../../tests/program/bench/mod.rs"]
#[expect(
    dead_code,
    unused_imports,
    clippy::unwrap_used,
    reason = "a node as the programs' tests have it, which use the rest"
)]
mod bench;
#[path = "../../../tests/program/packet.rs"]
#[expect(dead_code, clippy::unwrap_used, reason = "packets as the programs' tests have them, which use the rest")]
mod packet;

mod node;
mod path;

use std::thread;

use anyhow::{Result, ensure};
use lab::figures::{Measure, Mode, Progress, Report, Size, percentile};

use self::node::Node;
use self::path::{PATHS, Path};
use crate::plan::Plan;

/// Of one packet, with the clock's own cost in it, of which the path `nothing to do` is little else.
const PACKET: Measure = Measure::less("packet, by path of a program", "ns");
/// The kernel runs it on one packet again and again: only where it is the same each time.
const WARM: Measure = Measure::less("packet, repeated at once", "ns");
const VERIFIED: Measure = Measure::less("instructions verified", "instructions");

/// Packets a path and round, of which a sample is the middle.
const PACKETS: u32 = 100;
/// The same of a packet that is repeated.
const REPEATED: u32 = 10_000;

/// Steps of progress.
pub(crate) fn steps(plan: &Plan) -> u32 {
    u32::from(plan.wants(&VERIFIED)) + u32::from(wants_packets(plan))
}

fn wants_packets(plan: &Plan) -> bool {
    plan.wants(&PACKET) || plan.wants(&WARM)
}

/// Measures every path in every round, and loads every program once.
pub(crate) fn measure(plan: &Plan, report: &mut Report, progress: &mut Progress) -> Result<()> {
    if plan.wants(&VERIFIED) {
        progress.step("instructions verified");
        for (name, instructions) in bench::verified(&bench::load()) {
            // As many as there are programs, once a run.
            report.add(VERIFIED, Mode::Tc, Size::Path(name.leak()), 0, instructions.into());
        }
    }
    if wants_packets(plan) {
        progress.step("packets by path");
        // It moves to a network namespace of its own, with its thread.
        thread::scope(|scope| scope.spawn(|| all_paths(plan.rounds(), report)).join().expect("no path panics"))?;
    }
    Ok(())
}

fn all_paths(rounds: u32, report: &mut Report) -> Result<()> {
    let mut node = Node::new();
    for round in 0..rounds {
        for turn in 0..PATHS.len() {
            let path = &PATHS[(turn + round as usize) % PATHS.len()];
            let size = Size::Path(path.name);
            report.add(PACKET, Mode::Tc, size, round, once(&mut node, path)?);
            if path.is_repeatable {
                report.add(WARM, Mode::Tc, size, round, node.run(path, REPEATED)?);
            }
        }
    }
    Ok(())
}

/// The middle of some packets, each with a run of its own.
fn once(node: &mut Node, path: &Path) -> Result<f64> {
    let mut times = (0..PACKETS).map(|_| node.run(path, 1)).collect::<Result<Vec<_>>>()?;
    times.sort_unstable_by(f64::total_cmp);
    let middle = percentile(&times, 50);
    ensure!(middle.is_some_and(|middle| middle > 0.0), "{}: the kernel took no time", path.name);
    Ok(middle.unwrap_or_default())
}
