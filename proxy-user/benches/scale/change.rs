//! One endpoint's change at each size, by turns.

use anyhow::ensure;

use crate::first::Ready;
use crate::report::Change;
use crate::stopwatch::{Took, timed};

/// An endpoint of some Service goes, then comes back, and so on; the sizes take turns, so that whatever else the machine
/// does meets all of them alike.
pub(crate) fn measure(running: &mut [Ready], changes: u32) -> anyhow::Result<Vec<Change>> {
    let mut measured = vec![Vec::new(); running.len()];
    for turn in 0..changes {
        for (ready, measured) in running.iter_mut().zip(&mut measured) {
            measured.push(one(ready, turn)?);
        }
    }
    Ok(measured.into_iter().map(|changes| summary(&changes)).collect())
}

/// What a change took, and entries written.
fn one(ready: &mut Ready, turn: u32) -> anyhow::Result<(Took, u64)> {
    let Ready { objects, services, dataplane, metrics, .. } = ready;
    let (service, endpoint) = which(objects.services, objects.endpoints, turn);
    let event = objects.change(service, turn.is_multiple_of(2).then_some(endpoint));
    let before = dataplane.writes();
    let ((), took) = timed(|| {
        ensure!(services.take(vec![event], metrics), "the change was none");
        services.sync(dataplane, metrics)
    })?;
    Ok((took, dataplane.writes() - before))
}

/// Two turns in a row are about the same endpoint of a Service; the next is another, all over the range.
pub(crate) fn which(services: u32, endpoints: u32, turn: u32) -> (u32, u32) {
    let pair = turn / 2;
    (pair.wrapping_mul(2_654_435_761) % services, pair % endpoints)
}

fn summary(changes: &[(Took, u64)]) -> Change {
    let micros = |seconds: fn(&Took) -> f64| changes.iter().map(|(took, _)| seconds(took) * 1e6).collect::<Vec<_>>();
    Change {
        most_writes: changes.iter().map(|(_, writes)| *writes).max().unwrap_or_default(),
        wall_micros: micros(|took| took.wall_seconds).into(),
        cpu_micros: micros(|took| took.cpu_seconds).into(),
    }
}
