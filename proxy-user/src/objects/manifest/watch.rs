//! When to look at the directory again.
//!
//! Notifications only say that and where something happened; what happened is seen by looking. So a notification that
//! is lost, or comes for a name we don't know, costs nothing but time, and a look every few seconds finds whatever
//! the kernel cannot tell: the target of a link that leads out of the directory, a directory put in this one's place.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use notify::event::{AccessKind, AccessMode, ModifyKind, RenameMode};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tracing::warn;

use super::scan::{Hints, is_manifest};

/// So long must nothing happen before we look: what belongs together often comes as several notifications.
const QUIET: Duration = Duration::from_millis(20);
/// We look after so long even if notifications don't cease.
const AT_MOST: Duration = Duration::from_millis(80);
/// Between looks that nothing asked for.
const RESYNC: Duration = Duration::from_secs(5);
/// The same where the kernel doesn't notify us.
const POLL: Duration = Duration::from_millis(100);

/// What wakes the watching thread.
#[derive(Debug)]
pub(super) enum Signal {
    /// A notification.
    Notified(notify::Result<Event>),
    /// The source is no longer wanted.
    Stop,
}

/// A watched directory.
#[derive(Debug)]
pub(super) struct Watch {
    dir: PathBuf,
    signals: Sender<Signal>,
    /// `None` where we poll.
    watcher: Option<RecommendedWatcher>,
    /// Device and inode of the directory that is watched.
    identity: Option<(u64, u64)>,
}

impl Watch {
    /// Starts to watch `dir`; notifications go to `signals`.
    pub(super) fn new(dir: PathBuf, signals: Sender<Signal>) -> Self {
        let mut watch = Self { dir, signals, watcher: None, identity: None };
        watch.start();
        watch
    }

    fn start(&mut self) {
        let signals = self.signals.clone();
        self.identity = identity(&self.dir);
        // Nobody receives after the source was dropped, and then nobody needs to.
        let notified = move |event| drop(signals.send(Signal::Notified(event)));
        let watcher = notify::recommended_watcher(notified).and_then(|mut watcher| {
            watcher.watch(&self.dir, RecursiveMode::Recursive)?;
            // A link is swapped in the directory that holds it.
            if let Some(parent) = self.dir.parent().filter(|_| self.dir.is_symlink()) {
                watcher.watch(parent, RecursiveMode::NonRecursive)?;
            }
            Ok(watcher)
        });
        match watcher {
            Ok(watcher) => self.watcher = Some(watcher),
            Err(error) => self.poll(&error),
        }
    }

    fn poll(&mut self, error: &notify::Error) {
        self.watcher = None;
        warn!(
            dir = %self.dir.display(), %error,
            "the kernel doesn't notify us of changes to manifests; looking every {} ms instead (is \
             fs.inotify.max_user_watches or max_user_instances too low?)", POLL.as_millis()
        );
    }

    /// Calls `look` whenever there may be something to see, until it returns false or the source is dropped.
    pub(super) fn run(mut self, signals: &Receiver<Signal>, mut look: impl FnMut(&Hints) -> bool) {
        let mut hints = Hints::default();
        let mut resync = Instant::now() + RESYNC;
        while self.wait(signals, &mut hints, resync) {
            if Instant::now() >= resync {
                // Whoever still writes has had time enough.
                hints.touched.append(&mut hints.being_written);
                hints.only_touched = false;
            }
            hints.only_touched &= !self.follow_replacement();
            if !look(&hints) {
                return;
            }
            hints.touched.clear();
            if Instant::now() >= resync {
                resync = Instant::now() + RESYNC;
            }
        }
    }

    /// Waits for something to happen and then to settle; returns false when the source is dropped.
    fn wait(&mut self, signals: &Receiver<Signal>, hints: &mut Hints, resync: Instant) -> bool {
        let is_notified = self.watcher.is_some() && identity(&self.dir) == self.identity;
        let idle = if is_notified { RESYNC } else { POLL };
        let mut deadline = None;
        hints.only_touched = true;
        let mut timeout = resync.saturating_duration_since(Instant::now()).min(idle);
        loop {
            match signals.recv_timeout(timeout) {
                Ok(Signal::Stop) | Err(RecvTimeoutError::Disconnected) => return false,
                Err(RecvTimeoutError::Timeout) => {
                    hints.only_touched &= deadline.is_some();
                    return true;
                }
                Ok(Signal::Notified(notification)) => {
                    if self.note(notification, hints) {
                        deadline.get_or_insert_with(|| Instant::now() + AT_MOST);
                    }
                }
            }
            timeout = match deadline {
                None => resync.saturating_duration_since(Instant::now()).min(idle),
                Some(deadline) => deadline.saturating_duration_since(Instant::now()).min(QUIET),
            };
        }
    }

    /// Takes a notification in; returns whether there may be something to see. Our own reading is not.
    fn note(&mut self, notification: notify::Result<Event>, hints: &mut Hints) -> bool {
        let event = match notification {
            Ok(event) => event,
            Err(error) => {
                hints.only_touched = false;
                if self.watcher.is_some() {
                    self.poll(&error);
                }
                return true;
            }
        };
        hints.only_touched &= !event.need_rescan() && !event.paths.is_empty();
        match event.kind {
            EventKind::Modify(ModifyKind::Data(_)) => hints.being_written.extend(event.paths.iter().cloned()),
            EventKind::Access(kind) if kind != AccessKind::Close(AccessMode::Write) => return event.need_rescan(),
            // What it is called now may not have been told yet: together, or an object would be gone in between.
            EventKind::Modify(ModifyKind::Name(RenameMode::From)) => {
                hints.only_touched &= !event.paths.iter().any(|path| is_manifest(path));
            }
            // Its writer is done with it, or another file stands under its name.
            _ => event.paths.iter().for_each(|path| drop(hints.being_written.take(path))),
        }
        self.follow_links(&event);
        hints.touched.extend(event.paths);
        true
    }

    /// Watches the directories that new links lead to; those of real ones are followed already.
    fn follow_links(&mut self, event: &Event) {
        if !matches!(event.kind, EventKind::Create(_) | EventKind::Modify(ModifyKind::Name(_))) {
            return;
        }
        for path in event.paths.iter().filter(|path| path.is_symlink() && path.is_dir()) {
            let Some(watcher) = &mut self.watcher else { return };
            if let Err(error) = watcher.watch(path, RecursiveMode::Recursive) {
                self.poll(&error);
            }
        }
    }

    /// Watches what now stands under the directory's name, if that is another directory; returns whether it is. Until one
    /// does, we poll.
    fn follow_replacement(&mut self) -> bool {
        let is_replaced = identity(&self.dir) != self.identity;
        if is_replaced && self.watcher.is_some() && identity(&self.dir).is_some() {
            self.start();
        }
        is_replaced
    }
}

fn identity(dir: &Path) -> Option<(u64, u64)> {
    std::fs::metadata(dir).ok().map(|metadata| (metadata.dev(), metadata.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_the_kernel_does_not_notify_us_we_keep_looking() {
        let dir = tempfile::TempDir::new().unwrap();
        let (signals, incoming) = std::sync::mpsc::channel();
        let mut watch = Watch::new(dir.path().to_owned(), signals);
        watch.poll(&notify::Error::new(notify::ErrorKind::MaxFilesWatch));
        let mut looks = 0;
        let start = Instant::now();
        watch.run(&incoming, |_| {
            looks += 1;
            looks < 3
        });
        assert!(start.elapsed() < RESYNC, "it waited as if it were notified");
    }

    #[test]
    fn a_file_that_is_renamed_has_the_whole_directory_looked_at_unless_no_manifest_had_its_name() {
        let dir = tempfile::TempDir::new().unwrap();
        let (signals, _incoming) = std::sync::mpsc::channel();
        let mut watch = Watch::new(dir.path().to_owned(), signals);
        let from =
            |name| Event::new(EventKind::Modify(ModifyKind::Name(RenameMode::From))).add_path(dir.path().join(name));
        let mut hints = Hints { only_touched: true, ..Hints::default() };
        watch.note(Ok(from("a.next")), &mut hints);
        assert!(hints.only_touched);
        watch.note(Ok(from("a.yaml")), &mut hints);
        assert!(!hints.only_touched);
    }

    #[test]
    fn our_own_reading_is_no_reason_to_look_again() {
        let dir = tempfile::TempDir::new().unwrap();
        let (signals, _incoming) = std::sync::mpsc::channel();
        let mut watch = Watch::new(dir.path().to_owned(), signals);
        let kind = |kind| Event::new(EventKind::Access(kind));
        let mut hints = Hints::default();
        assert!(!watch.note(Ok(kind(AccessKind::Open(AccessMode::Any))), &mut hints));
        assert!(!watch.note(Ok(kind(AccessKind::Close(AccessMode::Read))), &mut hints));
        assert!(watch.note(Ok(kind(AccessKind::Close(AccessMode::Write))), &mut hints));
    }
}
