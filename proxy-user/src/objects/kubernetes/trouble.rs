//! What can go wrong while a kind is followed, what is said of it, and what helps.

use std::time::Duration;

use kube::core::Status;
use kube::runtime::watcher;

use crate::explain::explain;
use crate::model::Kind;

/// Why a kind can't be followed at the moment.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The server didn't answer a list within this time.
    NoAnswer(Duration),
    /// It is too long ago that the kind was watched, so that it has to be listed anew. Not a failure.
    Gone,
    /// The server refused, with the HTTP status `code`.
    Refused { code: u16, message: String, verb: &'static str, is_position: bool },
    /// What it said can't be read.
    Unreadable(String),
    /// It can't be asked, or the connection broke.
    Unreachable(String),
}

impl From<watcher::Error> for Trouble {
    fn from(error: watcher::Error) -> Self {
        use kube::Error::{Api, SerdeError, Service};
        use watcher::Error::{InitialListFailed, NoResourceVersion, WatchError, WatchFailed, WatchStartFailed};
        let verb = if matches!(error, InitialListFailed(_)) { "list" } else { "watch" };
        match error {
            WatchError(status) => Self::refused(&status, verb, true),
            InitialListFailed(Api(status)) | WatchStartFailed(Api(status)) | WatchFailed(Api(status)) => {
                Self::refused(&status, verb, false)
            }
            InitialListFailed(SerdeError(error)) | WatchStartFailed(SerdeError(error)) | WatchFailed(SerdeError(error)) => {
                Self::Unreadable(error.to_string())
            }
            NoResourceVersion => Self::Unreadable("metadata.resourceVersion: missing".into()),
            // Its own words say nothing.
            InitialListFailed(Service(error)) | WatchStartFailed(Service(error)) | WatchFailed(Service(error)) => {
                Self::Unreachable(explain(error.as_ref()))
            }
            InitialListFailed(error) | WatchStartFailed(error) | WatchFailed(error) => {
                Self::Unreachable(explain(&error))
            }
        }
    }
}

impl Trouble {
    fn refused(status: &Status, verb: &'static str, in_stream: bool) -> Self {
        if status.code == 410 {
            return Self::Gone;
        }
        let message = if status.message.is_empty() { status.reason.clone() } else { status.message.clone() };
        // Of a server that was set back to an earlier state: it would never reach where we are.
        let is_ahead = message.contains("Too large resource version");
        Self::Refused { code: status.code, message, verb, is_position: in_stream || is_ahead }
    }

    /// Whether to go on where the watch was doesn't help: where that is isn't known any more, or not to the server, or a
    /// change was lost.
    pub(super) const fn needs_a_new_list(&self) -> bool {
        match self {
            Self::NoAnswer(_) | Self::Gone | Self::Unreadable(_) => true,
            Self::Refused { code, is_position, .. } => *is_position || matches!(code, 400 | 404 | 422),
            Self::Unreachable(_) => false,
        }
    }

    /// What is said of it, if it is a failure; the same for all kinds where it has nothing to do with the kind.
    pub(super) fn text(&self, kind: Kind) -> Option<String> {
        let resource = kind.resource();
        Some(match self {
            Self::Gone => return None,
            Self::NoAnswer(time) => format!("{resource}: no answer to a list within {} s", time.as_secs()),
            Self::Refused { code: 401, message, .. } => format!(
                "{message} (401): the token or certificate is not accepted; has it expired, or is it another cluster's?"
            ),
            Self::Refused { code: 403, message, verb, .. } => format!(
                "may not {verb} {resource}: {message} (403); a ClusterRole bound to this user must allow list and watch of {resource}"
            ),
            Self::Refused { code, message, verb, .. } => format!("cannot {verb} {resource}: {message} ({code})"),
            Self::Unreadable(error) => format!("{resource}: what the server says can't be read: {error}"),
            Self::Unreachable(error) => error.clone(),
        })
    }
}
