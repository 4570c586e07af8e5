//! Traffic through Services, beside direct traffic: latencies and rates by numbers of Services.

mod cases;

use anyhow::Result;
use lab::figures::{Mode, Progress, Report, Size};

use self::cases::{CASES, Case};
use crate::plan::Plan;
use crate::stand::Stand;

/// One for each number of Services and mode to get there, one for each round of each case.
pub(crate) fn steps(plan: &Plan) -> u32 {
    let cases = cases(plan).count() as u32;
    if cases == 0 { 0 } else { plan.sizes().len() as u32 * (plan.modes().len() as u32 + plan.rounds() * cases) }
}

/// Measures all cases in all modes at each number of Services, the least first: one agent goes through all of them.
pub(crate) fn run(plan: &Plan, report: &mut Report, progress: &mut Progress) -> Result<()> {
    if cases(plan).count() == 0 {
        return Ok(());
    }
    let mut stands = Stand::all(plan, report)?;
    let modes = plan.modes().len() as u32;
    for services in plan.sizes() {
        let size = Size::Services(services);
        progress.skip(modes - stands.len() as u32);
        let mut grown = Vec::new();
        for mut stand in stands {
            progress.step(&format!("{}: getting {} into the kernel", stand.mode, size.in_words()));
            match stand.grow(services, plan.patience()) {
                Ok(()) => {
                    if let Some(place) = stand.place() {
                        report.remark(format!("{}, {}: the one that is asked is {place}", stand.mode, size.in_words()));
                    }
                    grown.push(stand);
                }
                Err(error) => report.leave_out(format!("{} from {} on: {error:#}", stand.mode, size.in_words())),
            }
        }
        stands = grown;
        for round in 0..plan.rounds() {
            for (number, case) in cases(plan).enumerate() {
                progress.step(&format!("{case}, {}, round {} of {}", size.in_words(), round + 1, plan.rounds()));
                // Nobody is always first, or always after the same other.
                let first = round as usize + number;
                for turn in 0..stands.len() {
                    sample(plan, report, &stands[(first + turn) % stands.len()], case, size, round);
                }
            }
        }
    }
    Ok(())
}

/// One turn of a mode.
fn sample(plan: &Plan, report: &mut Report, stand: &Stand, case: &Case, size: Size, round: u32) {
    let mode: Mode = stand.mode;
    match stand.meter(case.path, case.load, plan.sample()) {
        Ok(metered) => {
            if metered.failures > 0 {
                let of = metered.count + metered.failures;
                report.remark(format!("{mode}: {case}, {}: {} of {of} failed", size.in_words(), metered.failures));
            }
            for (measure, value) in case.measures.iter().filter(|(measure, _)| plan.wants(measure)) {
                report.add(*measure, mode, size, round, value(&metered));
            }
        }
        Err(error) => report.leave_out(format!("{}, round {}: {error:#}", size.in_words(), round + 1)),
    }
}

/// Those of which something is wanted.
fn cases(plan: &Plan) -> impl Iterator<Item = &'static Case> {
    CASES.iter().flatten().filter(|case| case.measures.iter().any(|(measure, _)| plan.wants(measure)))
}
