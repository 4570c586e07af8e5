//! What NetworkPolicy costs traffic, by numbers of rules on the pods that are asked.
//!
//! Each mode has a lab with a Service for each number of rules, and one pod behind it. Only the last rule of a policy lets
//! the client in.

mod stand;

use anyhow::Result;
use lab::figures::{Measure, Mode, Progress, Report, Size, counted};
use lab::traffic::{Load, Meter};

use self::stand::Stand;
use crate::plan::Plan;
use crate::sluice::{modes, or_leave_out};

const CONNECT: Measure = Measure::less("policies: connect, p50", "us");
const CONNECT_99: Measure = Measure::less("policies: connect, p99", "us");
const REQUEST: Measure = Measure::less("policies: request on a connection, p50", "us");
const SHORT: Measure = Measure::more("policies: short connections", "/s");

/// Steps of progress.
pub(crate) fn steps(plan: &Plan) -> u32 {
    if wanted(plan) { modes(plan).len() as u32 + plan.rounds() } else { 0 }
}

fn wanted(plan: &Plan) -> bool {
    [CONNECT, CONNECT_99, REQUEST, SHORT].iter().any(|measure| plan.wants(measure))
}

/// Numbers of rules.
const fn rules(plan: &Plan) -> &'static [u32] {
    if plan.quick { &[0, 10, 1_000] } else { &[0, 10, 1_000, 10_000] }
}

/// Asks every server in every mode in each round.
pub(crate) fn measure(plan: &Plan, report: &mut Report, progress: &mut Progress) -> Result<()> {
    if !wanted(plan) {
        return Ok(());
    }
    let mut stands = vec![Stand::start(Mode::Direct, rules(plan))?];
    for mode in modes(plan) {
        progress.step(&format!("policies: a lab for {mode}"));
        stands.extend(or_leave_out("policies", mode, Stand::start(mode, rules(plan)), report));
    }
    for round in 0..plan.rounds() {
        progress.step("policies: traffic");
        for rules in rules(plan) {
            for turn in 0..stands.len() {
                let stand = &stands[(turn + round as usize) % stands.len()];
                ask(plan, stand, *rules, round, report)?;
            }
        }
    }
    Ok(())
}

fn ask(plan: &Plan, stand: &Stand, rules: u32, round: u32, report: &mut Report) -> Result<()> {
    let (client, to) = (stand.client()?, stand.server(rules)?);
    let meter = |load| client.meter(&Meter { load, to, lasts: plan.sample() });
    let mut add = |measure: Measure, value| {
        if plan.wants(&measure) {
            report.add(measure, stand.mode, Size::Rules(rules), round, value);
        }
    };
    let connects = meter(Load::Connect)?;
    add(CONNECT, connects.micros[0]);
    add(CONNECT_99, connects.micros[2]);
    add(REQUEST, meter(Load::Request)?.micros[0]);
    let short = meter(Load::Short)?;
    add(SHORT, counted(short.count) / short.seconds);
    Ok(())
}
