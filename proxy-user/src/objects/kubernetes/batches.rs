//! From what the watches tell to batches: what comes together goes together.

use std::time::{Duration, Instant};

use tokio::sync::mpsc::error::SendError;
use tokio::sync::mpsc::{Permit, Receiver, Sender};
use tokio::time::{Instant as Deadline, timeout_at};

use crate::objects::{Batch, ObjectEvent};

/// So long must nothing come before a batch is passed on: what belongs together, such as a Service and its slices, comes by
/// several watches.
const QUIET: Duration = Duration::from_millis(20);
/// The same of what follows upon nothing for so long as [`QUIET`]: mostly one endpoint's change, which nothing follows, and
/// which is not to wait longer than it takes to carry it out.
const QUIET_AFTER_QUIET: Duration = Duration::from_millis(1);
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
    let mut last = None;
    while let Some(first) = told.recv().await {
        let quiet = quiet_after(last.as_ref().map(Deadline::elapsed));
        let mut batch = Batch { seen: first.seen, events: Vec::new() };
        add(&mut batch, first, &mut waiting);
        let at_most = Deadline::now() + AT_MOST;
        while let Ok(Some(more)) = timeout_at(at_most.min(Deadline::now() + quiet), told.recv()).await {
            add(&mut batch, more, &mut waiting);
        }
        let Ok(permit) = room(&batches, &mut told, &mut batch, &mut waiting).await else { return };
        permit.send(batch);
        last = Some(Deadline::now());
    }
}

/// So long must nothing come, so long after the last batch.
fn quiet_after(silence: Option<Duration>) -> Duration {
    if silence.is_none_or(|silence| silence >= QUIET) { QUIET_AFTER_QUIET } else { QUIET }
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

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;

    use super::*;
    use crate::model::{Change, Kind, ObjectRef};

    const TIMEOUT: Duration = Duration::from_secs(10);

    fn told(name: &str, is_first: bool) -> Told {
        let object = ObjectRef { kind: Kind::Pod, namespace: "default".into(), name: name.into() };
        Told { seen: Instant::now(), events: vec![ObjectEvent::Change(Change::Delete(object))], is_first }
    }

    fn names(batch: &Batch) -> Vec<String> {
        let name = |event: &ObjectEvent| match event {
            ObjectEvent::Change(Change::Delete(object)) => object.name.clone(),
            ObjectEvent::Synced => "SYNCED".into(),
            other => panic!("{other:?}"),
        };
        batch.events.iter().map(name).collect()
    }

    /// All that comes until `count` events are there.
    async fn receive(batches: &mut Receiver<Batch>, count: usize) -> Vec<String> {
        let mut all = Vec::new();
        while all.len() < count {
            let batch = tokio::time::timeout(TIMEOUT, batches.recv()).await.unwrap().unwrap();
            all.extend(names(&batch));
        }
        all
    }

    #[tokio::test]
    async fn synced_comes_once_and_after_all_of_the_first_list_of_the_last_kind() {
        let (telling, incoming) = mpsc::channel(8);
        let (outgoing, mut batches) = mpsc::channel(4);
        tokio::spawn(gather(incoming, outgoing, 2));
        telling.send(told("a", true)).await.unwrap();
        assert_eq!(receive(&mut batches, 1).await, ["a"]);
        telling.send(told("b", false)).await.unwrap();
        telling.send(told("c", true)).await.unwrap();
        assert_eq!(receive(&mut batches, 3).await, ["b", "c", "SYNCED"]);
        telling.send(told("d", false)).await.unwrap();
        assert_eq!(receive(&mut batches, 1).await, ["d"]);
    }

    #[tokio::test]
    async fn what_comes_while_the_listener_is_busy_is_one_batch_and_in_order() {
        let (telling, incoming) = mpsc::channel(8);
        let (outgoing, mut batches) = mpsc::channel(1);
        tokio::spawn(gather(incoming, outgoing, 1));
        telling.send(told("first", false)).await.unwrap();
        // Until it is in the queue, which then is full.
        while batches.is_empty() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        for i in 0..100 {
            telling.send(told(&i.to_string(), false)).await.unwrap();
        }
        // All but the last are taken when there is room for it.
        tokio::time::sleep(AT_MOST * 2).await;
        assert_eq!(names(&batches.recv().await.unwrap()), ["first"]);
        let expected: Vec<String> = (0..100).map(|i| i.to_string()).collect();
        assert_eq!(receive(&mut batches, 100).await, expected);
        assert!(batches.is_empty());
    }

    #[test]
    fn a_change_after_silence_hardly_waits_and_those_that_follow_it_come_together() {
        assert_eq!([None, Some(QUIET)].map(quiet_after), [QUIET_AFTER_QUIET; 2]);
        assert_eq!(quiet_after(Some(QUIET_AFTER_QUIET)), QUIET);
    }

    #[tokio::test]
    async fn it_ends_with_its_listener() {
        let (telling, incoming) = mpsc::channel(8);
        let (outgoing, batches) = mpsc::channel(1);
        let task = tokio::spawn(gather(incoming, outgoing, 1));
        drop(batches);
        telling.send(told("a", false)).await.unwrap();
        tokio::time::timeout(TIMEOUT, task).await.unwrap().unwrap();
    }
}
