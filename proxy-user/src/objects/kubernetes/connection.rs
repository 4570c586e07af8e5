//! How the API server is doing.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::model::Kind;

/// The connection to the API server, as of now.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Connection {
    /// URL of the API server.
    pub server: String,
    /// Since when some kind of object can't be followed; `None` while all are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lost_since: Option<Timestamp>,
    /// Why, as last heard.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Kinds of which the first list hasn't come yet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waiting_for: Vec<String>,
    /// Lists that were made anew after a first one.
    #[serde(default)]
    pub relists: u64,
    /// Failures to list or watch.
    #[serde(default)]
    pub watch_errors: u64,
}

impl fmt::Display for Connection {
    /// For people, on a line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.lost_since, &self.error) {
            (None, _) => write!(f, "{}, ok", self.server)?,
            (Some(since), None) => write!(f, "{}, lost since {since}", self.server)?,
            (Some(since), Some(error)) => write!(f, "{}, lost since {since}: {error}", self.server)?,
        }
        if !self.waiting_for.is_empty() {
            write!(f, "; waiting for the first list of {}", self.waiting_for.join(", "))?;
        }
        Ok(())
    }
}

/// What the watches tell of the API server, put together.
#[derive(Debug)]
pub(super) struct Tracker {
    published: watch::Sender<Connection>,
    lost: Mutex<Lost>,
}

#[derive(Debug, Default)]
struct Lost {
    /// Since when each kind can't be followed, and why.
    kinds: BTreeMap<Kind, (Timestamp, String)>,
    waiting: BTreeSet<Kind>,
}

impl Tracker {
    /// Of the API server at `server`.
    pub(super) fn new(server: String) -> Self {
        let connection = Connection { server, ..Connection::default() };
        Self { published: watch::channel(connection).0, lost: Mutex::default() }
    }

    /// The first list of `kind` hasn't come.
    pub(super) fn wait_for(&self, kind: Kind) {
        self.change(|lost, connection| {
            lost.waiting.insert(kind);
            connection.waiting_for = names(&lost.waiting);
        });
    }

    /// What is told, as it changes.
    pub(super) fn subscribe(&self) -> watch::Receiver<Connection> {
        self.published.subscribe()
    }

    /// `kind` can't be listed or watched at present. Said in the log once for each reason, and not at each attempt.
    pub(super) fn lost(&self, kind: Kind, error: String) {
        self.change(|lost, connection| {
            connection.watch_errors += 1;
            let is_known = lost.kinds.values().any(|(_, known)| *known == error);
            if !is_known {
                tracing::warn!(
                    server = connection.server,
                    "the API server can't be followed: {error}; what is in the kernel stays in force, trying again"
                );
            }
            lost.kinds.entry(kind).or_insert_with(|| (Timestamp::now(), String::new())).1 = error;
        });
    }

    /// `kind` is watched.
    pub(super) fn followed(&self, kind: Kind) {
        self.change(|lost, connection| {
            if lost.kinds.remove(&kind).is_some() && lost.kinds.is_empty() {
                tracing::info!(server = connection.server, "the API server is followed again");
            }
        });
    }

    /// A kind is about to be listed anew.
    pub(super) fn relists(&self) {
        self.change(|_, connection| connection.relists += 1);
    }

    /// `kind` was listed.
    pub(super) fn listed(&self, kind: Kind) {
        self.change(|lost, connection| {
            if lost.waiting.remove(&kind) {
                connection.waiting_for = names(&lost.waiting);
            }
        });
        self.followed(kind);
    }

    fn change(&self, change: impl FnOnce(&mut Lost, &mut Connection)) {
        // Each change leaves it whole, so a panic elsewhere does too.
        let mut lost = self.lost.lock().unwrap_or_else(PoisonError::into_inner);
        self.published.send_if_modified(|connection| {
            let old = connection.clone();
            change(&mut lost, connection);
            let longest = lost.kinds.values().min();
            connection.lost_since = longest.map(|(since, _)| *since);
            connection.error = longest.map(|(_, error)| error.clone());
            *connection != old
        });
    }
}

fn names(kinds: &BTreeSet<Kind>) -> Vec<String> {
    kinds.iter().map(|kind| kind.resource().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now(tracker: &Tracker) -> Connection {
        tracker.subscribe().borrow().clone()
    }

    #[test]
    fn it_is_lost_from_the_first_kind_that_is_until_the_last_one_is_back() {
        let tracker = Tracker::new("https://192.0.2.1:6443".into());
        tracker.lost(Kind::Pod, "refused".into());
        let since = now(&tracker).lost_since.unwrap();
        tracker.lost(Kind::Service, "reset".into());
        tracker.lost(Kind::Pod, "refused again".into());
        assert_eq!(now(&tracker).error.as_deref(), Some("refused again"), "of the kind that is lost longest");
        tracker.followed(Kind::Pod);
        assert!(now(&tracker).lost_since.unwrap() >= since);
        assert_eq!(now(&tracker).error.as_deref(), Some("reset"), "what was mended is told no more");
        tracker.followed(Kind::Service);
        let Connection { lost_since, error, watch_errors, .. } = now(&tracker);
        assert_eq!((lost_since, error, watch_errors), (None, None, 3));
    }

    #[test]
    fn it_is_lost_since_the_first_failure_and_not_since_the_latest() {
        let tracker = Tracker::new("https://192.0.2.1:6443".into());
        tracker.lost(Kind::Pod, "refused".into());
        let since = now(&tracker).lost_since;
        std::thread::sleep(std::time::Duration::from_millis(2));
        tracker.lost(Kind::Pod, "refused".into());
        assert_eq!(now(&tracker).lost_since, since);
    }

    #[test]
    fn people_are_told_what_is_waited_for_and_what_is_wrong() {
        let tracker = Tracker::new("https://192.0.2.1:6443".into());
        tracker.wait_for(Kind::Pod);
        tracker.wait_for(Kind::Node);
        tracker.listed(Kind::Pod);
        assert_eq!(now(&tracker).to_string(), "https://192.0.2.1:6443, ok; waiting for the first list of nodes");
        tracker.lost(Kind::Node, "refused".into());
        let text = now(&tracker).to_string();
        assert!(
            text.starts_with("https://192.0.2.1:6443, lost since ") && text.contains("Z: refused; waiting"),
            "{text}"
        );
        tracker.listed(Kind::Node);
        assert_eq!(now(&tracker).to_string(), "https://192.0.2.1:6443, ok");
    }
}
