//! What it takes to bring a cluster's Services into the kernel, and then one endpoint's change.
//!
//! The agent is a process that follows an API server, as it does in a cluster; in a part of its own the agent's library
//! takes the same objects without an API server, which tells what model, plan and kernel have of the whole.

mod agent;
mod change;
mod objects;
mod steps;
mod wait;

use anyhow::Result;
use lab::figures::{Measure, Mode, Progress, Report, counted};

use self::agent::Running;
use self::objects::Objects;
use crate::plan::Plan;
use crate::sluice::{modes, or_leave_out};

const FIRST: Measure = Measure::less("first full state", "s");
const FIRST_CPU: Measure = Measure::less("first full state, CPU", "s");
const STEPS_CPU: Measure = Measure::less("first full state, CPU of model, plan and kernel alone", "s");
const RESIDENT: Measure = Measure::less("memory of the agent", "MiB");
const PEAK: Measure = Measure::less("memory of the agent at most", "MiB");
const MAPS: Measure = Measure::less("memory of the maps", "MiB");
const KERNEL: Measure = Measure::less("one endpoint's change, to the kernel, p50", "ms");
const KERNEL_99: Measure = Measure::less("one endpoint's change, to the kernel, p99", "ms");
const PACKET: Measure = Measure::less("one endpoint's change, to the first packet, p50", "ms");
const PACKET_99: Measure = Measure::less("one endpoint's change, to the first packet, p99", "ms");
const CHANGE_CPU: Measure = Measure::less("one endpoint's change, CPU", "ms");

const ALL: [Measure; 11] =
    [FIRST, FIRST_CPU, STEPS_CPU, RESIDENT, PEAK, MAPS, KERNEL, KERNEL_99, PACKET, PACKET_99, CHANGE_CPU];

/// Services and endpoints of each.
const SIZES: [Objects; 3] = [Objects::new(10_000, 10), Objects::new(5_006, 50), Objects::new(44_125, 1)];
const QUICK: [Objects; 1] = [Objects::new(1_000, 10)];

/// Agents that are started at each size and in each mode.
const STARTS: u32 = 3;

/// Steps of progress.
pub(crate) fn steps(plan: &Plan) -> u32 {
    if wanted(plan) { sizes(plan).len() as u32 * starts(plan) * (measured(plan).len() as u32 + 1) } else { 0 }
}

fn wanted(plan: &Plan) -> bool {
    ALL.iter().any(|measure| plan.wants(measure))
}

const fn sizes(plan: &Plan) -> &'static [Objects] {
    if plan.quick { &QUICK } else { &SIZES }
}

const fn starts(plan: &Plan) -> u32 {
    if plan.quick { 1 } else { STARTS }
}

/// Socket translation reads the same tables as programs at interfaces do: one of these stands for all.
fn measured(plan: &Plan) -> Vec<Mode> {
    modes(plan).into_iter().filter(|mode| !matches!(mode, Mode::Socket | Mode::Redirect)).collect()
}

/// Starts agents at every size, and changes endpoints.
pub(crate) fn measure(plan: &Plan, report: &mut Report, progress: &mut Progress) -> Result<()> {
    if !wanted(plan) {
        return Ok(());
    }
    let mut refused = Vec::new();
    for objects in sizes(plan) {
        for round in 0..starts(plan) {
            progress.step(&format!("programming: library, {}", objects.size()));
            report.add(STEPS_CPU, Mode::Tc, objects.size(), round, steps::cpu_seconds(*objects)?);
            for mode in measured(plan) {
                if refused.contains(&mode) {
                    progress.skip(1);
                    continue;
                }
                progress.step(&format!("programming: {mode}, {}", objects.size()));
                let done = one(plan, *objects, mode, round, report);
                if or_leave_out("programming", mode, done, report).is_none() {
                    refused.push(mode);
                }
            }
        }
    }
    Ok(())
}

/// One agent, from its start on.
fn one(plan: &Plan, objects: Objects, mode: Mode, round: u32, report: &mut Report) -> Result<()> {
    let running = Running::start(mode, objects, plan.patience())?;
    let mut add = |measure: Measure, value| {
        if plan.wants(&measure) {
            report.add(measure, mode, objects.size(), round, value);
        }
    };
    let usage = running.usage()?;
    add(FIRST, running.ready.as_secs_f64());
    add(FIRST_CPU, usage.cpu_seconds);
    add(RESIDENT, mebibytes(usage.resident_bytes));
    add(PEAK, mebibytes(usage.peak_bytes));
    add(MAPS, mebibytes(running.map_bytes()?));
    let changes = change::measure(&running, plan)?;
    add(PACKET, changes.to_packet[0]);
    add(PACKET_99, changes.to_packet[1]);
    add(CHANGE_CPU, changes.cpu_millis);
    if let Some([middle, most]) = changes.to_kernel {
        add(KERNEL, middle);
        add(KERNEL_99, most);
    } else {
        report.leave_out(format!(
            "{}, {mode}: its rules can't be read while they are written; the first packet tells",
            KERNEL.name
        ));
    }
    Ok(())
}

fn mebibytes(bytes: u64) -> f64 {
    counted(bytes) / f64::from(1 << 20)
}
