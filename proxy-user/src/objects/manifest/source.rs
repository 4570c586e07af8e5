//! The directory as a source of objects.

use std::path::{Path, PathBuf};
use std::sync::mpsc::Sender;
use std::time::Instant;

use tokio::sync::mpsc;

use super::directory::Directory;
use super::error::ManifestError;
use super::scan::{Hints, Scanner};
use super::watch::{Signal, Watch};
use crate::objects::{Batch, ObjectEvent};

/// Batches that may wait to be taken; while they do, further changes come together in one.
const QUEUE: usize = 4;

/// A directory of manifests, watched for as long as this lives.
#[derive(Debug)]
pub struct ManifestSource {
    batches: mpsc::Receiver<Batch>,
    signals: Sender<Signal>,
}

/// The files and what they say.
#[derive(Debug)]
pub(super) struct Manifests {
    scanner: Scanner,
    directory: Directory,
}

impl Manifests {
    /// What changed since the last look.
    pub(super) fn look(&mut self, hints: &Hints) -> Vec<ObjectEvent> {
        self.directory.apply(self.scanner.scan(hints))
    }
}

/// What there is in `dir` now, ended by [`ObjectEvent::Synced`].
///
/// # Errors
/// The directory itself cannot be read.
pub fn read(dir: &Path) -> Result<Vec<ObjectEvent>, ManifestError> {
    first_look(dir).map(|(_, events)| events)
}

fn first_look(dir: &Path) -> Result<(Manifests, Vec<ObjectEvent>), ManifestError> {
    std::fs::read_dir(dir).map_err(|source| ManifestError::Read { path: dir.to_owned(), source })?;
    let mut manifests = Manifests { scanner: Scanner::new(dir.to_owned()), directory: Directory::default() };
    let mut events = manifests.look(&Hints::default());
    events.push(ObjectEvent::Synced);
    Ok((manifests, events))
}

impl ManifestSource {
    /// Starts to watch `dir`, and returns with the source what there is now, ended by [`ObjectEvent::Synced`].
    /// A bad file is an event like any other.
    ///
    /// # Errors
    /// The directory itself cannot be read.
    pub fn new(dir: impl Into<PathBuf>) -> Result<(Self, Vec<ObjectEvent>), ManifestError> {
        let dir = dir.into();
        let (mut manifests, events) = first_look(&dir)?;
        let (signals, incoming) = std::sync::mpsc::channel();
        let watch = Watch::new(dir.clone(), signals.clone());
        let (outgoing, batches) = mpsc::channel(QUEUE);
        let look = move |hints: &Hints| {
            let seen = Instant::now();
            let events = manifests.look(hints);
            events.is_empty() || outgoing.blocking_send(Batch { seen, events }).is_ok()
        };
        let run = move || watch.run(&incoming, look);
        let spawned = std::thread::Builder::new().name("manifests".into()).spawn(run);
        spawned.map_err(|source| ManifestError::Read { path: dir, source })?;
        Ok((Self { batches, signals }, events))
    }

    /// The next changes, together those of one moment; `None` only after the watching thread has ended. May be dropped
    /// while it waits without losing any.
    pub async fn next(&mut self) -> Option<Batch> {
        self.batches.recv().await
    }
}

impl Drop for ManifestSource {
    fn drop(&mut self) {
        // An error means that the thread has ended already.
        let _ = self.signals.send(Signal::Stop);
    }
}

#[cfg(test)]
mod tests;
