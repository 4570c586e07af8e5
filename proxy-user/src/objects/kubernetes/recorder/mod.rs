//! Tells what is wrong on the objects that it is about, as Events (events.k8s.io/v1).
//!
//! Nobody waits for it: it has a task of its own, and of what is wrong only the present list. What the API server doesn't
//! take is offered again a little later, as long as it is wrong.

mod event;
mod schedule;
#[cfg(test)]
mod tests;

use std::time::Duration;

use kube::Client;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout};

use self::event::{Events, Said};
use self::schedule::Schedule;
use crate::complaint::Complaint;
use crate::explain::explain;

/// Complaints that may wait at one time; of more, the budget would hardly ever get to the last.
const AT_MOST: usize = 1000;
/// For the API server to take an Event.
const ANSWER: Duration = Duration::from_secs(30);

/// Tells the API server what is wrong, for as long as this lives.
#[derive(Debug)]
pub struct Recorder {
    complaints: watch::Sender<Vec<Complaint>>,
    task: JoinHandle<()>,
}

impl Recorder {
    /// Begins, with the Event that the agent of Node `node_name` starts.
    #[must_use]
    pub fn start(client: Client, node_name: &str) -> Self {
        let (complaints, heard) = watch::channel(Vec::new());
        let task = tokio::spawn(follow(Events::new(client, node_name), heard));
        Self { complaints, task }
    }

    /// This is wrong now, and nothing else.
    pub fn complain(&self, mut complaints: Vec<Complaint>) {
        complaints.truncate(AT_MOST);
        // Who hears it lives as long as this.
        self.complaints.send_replace(complaints);
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn follow(events: Events, mut complaints: watch::Receiver<Vec<Complaint>>) {
    let mut schedule = Schedule::new(Instant::now());
    let mut failing = false;
    note(&publish(&events, &Said::start()).await, &mut failing);
    loop {
        tokio::select! {
            changed = complaints.changed() => {
                if changed.is_err() {
                    return;
                }
                let complaints = complaints.borrow_and_update().clone();
                schedule.set(complaints, Instant::now());
            }
            complaint = due(&mut schedule) => {
                let told = publish(&events, &Said::complaint(&complaint)).await;
                schedule.done(&complaint, told.is_ok(), Instant::now());
                note(&told, &mut failing);
            }
        }
    }
}

/// Waits until something is to be told.
async fn due(schedule: &mut Schedule) -> Complaint {
    loop {
        let Some((at, complaint)) = schedule.next() else { return std::future::pending().await };
        let complaint = complaint.clone();
        if at <= Instant::now() {
            return complaint;
        }
        sleep_until(at).await;
    }
}

async fn publish(events: &Events, said: &Said) -> Result<(), String> {
    match timeout(ANSWER, events.publish(said)).await {
        Ok(done) => done.map_err(|error| explain(&error)),
        Err(_) => Err(format!("no answer within {} s", ANSWER.as_secs())),
    }
}

/// Says in the log that Events can't be written, once.
fn note(told: &Result<(), String>, failing: &mut bool) {
    if let Err(error) = told
        && !*failing
    {
        tracing::warn!("Events on objects can't be written: {error}; trying again while there is something to tell");
    }
    *failing = told.is_err();
}
