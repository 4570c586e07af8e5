//! From what the watches tell to batches: what comes together goes together.

use std::time::{Duration, Instant};

use tokio::sync::mpsc::error::SendError;
use tokio::sync::mpsc::{Permit, Receiver, Sender};
use tokio::time::{Instant as Deadline, timeout_at};

use crate::objects::{Batch, ObjectEvent};

/// So long must nothing come before a batch is passed on: what belongs together, such as a Service and its slices, comes by
/// several watches.
const QUIET: Duration = Duration::from_millis(20);
/// It is passed on after so long even if more keeps coming.
const AT_MOST: Duration = Duration::from_millis(80);

/// What the watch on one kind tells.
#[derive(Debug)]
pub(super) struct Told {
    /// When it was read.
    pub(super) seen: Instant,
    pub(super) events: Vec<ObjectEvent>,
    /// It ends the first list of the kind.
    pub(super) is_first: bool,
}

/// Puts together what the watches tell, with [`ObjectEvent::Synced`] after the last of `kinds` first lists, until they or
/// the listener are gone. While the listener is busy, further changes come together in one batch.
pub(super) async fn gather(mut told: Receiver<Told>, batches: Sender<Batch>, kinds: usize) {
    let mut waiting = kinds;
    while let Some(first) = told.recv().await {
        let mut batch = Batch { seen: first.seen, events: Vec::new() };
        add(&mut batch, first, &mut waiting);
        let at_most = Deadline::now() + AT_MOST;
        loop {
            match timeout_at(at_most.min(Deadline::now() + QUIET), told.recv()).await {
                Ok(Some(more)) => add(&mut batch, more, &mut waiting),
                Ok(None) | Err(_) => break,
            }
        }
        let Ok(permit) = room(&batches, &mut told, &mut batch, &mut waiting).await else { return };
        permit.send(batch);
    }
}

/// Waits until the listener takes another batch; what comes meanwhile goes into this one.
async fn room<'a>(
    batches: &'a Sender<Batch>,
    told: &mut Receiver<Told>,
    batch: &mut Batch,
    waiting: &mut usize,
) -> Result<Permit<'a, Batch>, SendError<()>> {
    loop {
        tokio::select! {
            biased;
            permit = batches.reserve() => return permit,
            Some(more) = told.recv() => add(batch, more, waiting),
        }
    }
}

fn add(batch: &mut Batch, Told { events, is_first, .. }: Told, waiting: &mut usize) {
    batch.events.extend(events);
    if is_first {
        *waiting -= 1;
        if *waiting == 0 {
            batch.events.push(ObjectEvent::Synced);
        }
    }
}
