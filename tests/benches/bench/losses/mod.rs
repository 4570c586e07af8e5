//! What is lost where nothing should be: in restarts of the agent, in a flood, at starts of pods.

mod flood;
mod restarts;
mod scene;
mod starts;

use anyhow::Result;
use lab::figures::{Measure, Mode, Progress, Report, Size, counted};

use crate::plan::Plan;
use crate::sluice::{modes, or_leave_out};

/// Something that may cost what it must not.
struct Loss {
    measure: Measure,
    /// Does it, in a mode.
    cause: fn(&Plan, Mode) -> Result<Lost>,
}

/// What was lost.
struct Lost {
    lost: u64,
    /// Of how much.
    of: String,
}

const LOSSES: [Loss; 3] = [
    Loss { measure: Measure::less("lost in restarts of the agent", "requests"), cause: restarts::cause },
    Loss { measure: Measure::less("lost in a half-open flood", "connections"), cause: flood::cause },
    Loss { measure: Measure::less("leaked at starts of denied pods", "packets"), cause: starts::cause },
];

/// Steps of progress.
pub(crate) fn steps(plan: &Plan) -> u32 {
    (wanted(plan).count() * modes(plan).len()) as u32
}

fn wanted(plan: &Plan) -> impl Iterator<Item = &'static Loss> {
    LOSSES.iter().filter(|loss| plan.wants(&loss.measure))
}

/// Counts once in every mode; the report has beside each number what it is of.
#[expect(clippy::unnecessary_wraps, reason = "other parts can fail as a whole")]
pub(crate) fn measure(plan: &Plan, report: &mut Report, progress: &mut Progress) -> Result<()> {
    for Loss { measure, cause } in wanted(plan) {
        for mode in modes(plan) {
            progress.step(&format!("{}, {mode}", measure.name));
            if let Some(Lost { lost, of }) = or_leave_out(measure.name, mode, cause(plan, mode), report) {
                report.add(*measure, mode, Size::One, 0, counted(lost));
                report.remark(format!("{}, {mode}: {lost} of {of}", measure.name));
            }
        }
    }
    Ok(())
}
