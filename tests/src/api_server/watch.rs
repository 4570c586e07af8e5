//! GET with `watch`: a stream of events, a line each.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::response::{IntoResponse as _, Response};
use futures::stream;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::{Instant, interval, sleep, sleep_until};

use super::fault::{Fault, Verb};
use super::kind::Kind;
use super::list::{json_response, whole};
use super::request::Request;
use super::selector::Selection;
use super::shared::{GoneAs, Shared};
use super::status::Refusal;
use super::store::{Change, Gone};
use super::stored::Stored;

/// The longest a watch lasts that doesn't say how long, as with the real one's `--min-request-timeout`.
const LONGEST: Duration = Duration::from_mins(30);
/// From the last bytes before a cut until the cut: an error in a body takes along what isn't sent yet.
pub(super) const BEFORE_CUT: Duration = Duration::from_millis(50);
/// Lines that wait for the client.
const AHEAD: usize = 64;

/// The client has gone, or its stream is to end.
struct Ended;

/// A watch under way.
struct Watch {
    shared: Arc<Shared>,
    kind: &'static Kind,
    selection: Selection,
    metadata_only: bool,
    bookmarks: bool,
    /// The revision up to which all has been told.
    told: u64,
    lines: mpsc::Sender<io::Result<Bytes>>,
}

/// Begins a watch. From version 0, or none, it tells of all objects first.
pub(super) fn watch(
    shared: &Arc<Shared>,
    kind: &'static Kind,
    selection: Selection,
    request: &Request,
) -> Result<Response, Refusal> {
    let from = request.parameter("resourceVersion").unwrap_or("0").parse::<u64>();
    let from = from.map_err(|_| Refusal::bad_request("resourceVersion is a number"))?;
    let streams_list = request.asks("sendInitialEvents");
    let bookmarks = request.asks("allowWatchBookmarks");
    if request.parameter("sendInitialEvents").is_some() {
        check_initial_events(shared, request)?;
    }
    let limit = request.parameter("timeoutSeconds").and_then(|seconds| seconds.parse().ok()).map(Duration::from_secs);
    let (lines, received) = mpsc::channel(AHEAD);
    let initial = if from == 0 || streams_list {
        let store = shared.store();
        let objects = store.list(kind, store.revision())?;
        let held: Vec<_> = objects.into_values().filter(|object| selection.holds(object)).collect();
        Some((store.revision(), held))
    } else {
        // Whether the history reaches back that far is known before the stream begins.
        let known = shared.store().since(kind, from).map(drop);
        match (known, shared.gone_as()) {
            (Err(gone), GoneAs::Status) => return Ok(Refusal::from(gone).into_response()),
            _ => None,
        }
    };
    let watch = Watch {
        shared: shared.clone(),
        kind,
        selection,
        metadata_only: request.is_metadata_only(),
        bookmarks,
        told: initial.as_ref().map_or(from, |(revision, _)| *revision),
        lines,
    };
    let end = Instant::now() + limit.unwrap_or(LONGEST);
    tokio::spawn(async move {
        // It ends when either side has had enough, which is nothing to report.
        let Err(Ended) = watch.run(initial.map(|(_, held)| held), streams_list, end).await;
    });
    let lines = stream::unfold(received, async |mut lines| lines.recv().await.map(|line| (line, lines)));
    Ok(json_response(Body::from_stream(lines)))
}

/// The rules of `sendInitialEvents`, from `ValidateListOptions` of apimachinery.
fn check_initial_events(shared: &Shared, request: &Request) -> Result<(), Refusal> {
    let invalid = |field: &str, problem: &str| {
        let message = format!("ListOptions.meta.k8s.io \"\" is invalid: {field}: Forbidden: {problem}");
        Refusal::new(422, "Invalid", message)
    };
    if !shared.settings().watch_list {
        let problem = "sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled";
        return Err(invalid("sendInitialEvents", problem));
    }
    if request.parameter("resourceVersionMatch") != Some("NotOlderThan") {
        let problem = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan";
        return Err(invalid("resourceVersionMatch", problem));
    }
    Ok(())
}

impl Watch {
    async fn run(
        mut self,
        initial: Option<Vec<Arc<Stored>>>,
        mark_end: bool,
        end: Instant,
    ) -> Result<std::convert::Infallible, Ended> {
        let mut news = self.shared.news();
        let mut bookmarks = interval(self.shared.settings().bookmarks);
        bookmarks.tick().await; // the first is at once
        for object in initial.into_iter().flatten() {
            self.tell("ADDED", &whole(self.kind, &object, self.metadata_only)).await?;
        }
        if mark_end && self.bookmarks {
            self.bookmark(json!({"k8s.io/initial-events-end": "true"})).await?;
        }
        loop {
            self.tell_changes().await?;
            tokio::select! {
                changed = news.changed() => changed.map_err(|_| Ended)?,
                _ = bookmarks.tick(), if self.bookmarks => {
                    self.tell_changes().await?;
                    self.bookmark(json!({})).await?;
                }
                () = sleep_until(end) => return Err(Ended),
                () = self.lines.closed() => return Err(Ended),
            }
        }
    }

    async fn tell_changes(&mut self) -> Result<(), Ended> {
        let (changes, revision) = {
            let store = self.shared.store();
            (store.since(self.kind, self.told).map(Iterator::collect::<Vec<_>>), store.revision())
        };
        let changes = match changes {
            Ok(changes) => changes,
            Err(gone) => return self.tell_gone(gone).await,
        };
        for change in changes {
            if let Some((event, object)) = self.event(&change) {
                self.tell(event, &object).await?;
            }
        }
        self.told = revision;
        Ok(())
    }

    /// What a change is to those that see only a selection: one that leaves it is deleted.
    fn event(&self, change: &Change) -> Option<(&'static str, Vec<u8>)> {
        let held = |object: &&Arc<Stored>| self.selection.holds(object);
        let (before, after) = (change.before.as_ref().filter(held), change.after.as_ref().filter(held));
        let event = match (before, after) {
            (None, None) => return None,
            (None, Some(_)) => "ADDED",
            (Some(_), Some(_)) => "MODIFIED",
            (Some(before), None) => {
                // Its last state in the selection, at the revision at which it left.
                let last = Stored::new(self.kind, before.value(), change.revision);
                return Some(("DELETED", whole(self.kind, &last, self.metadata_only)));
            }
        };
        after.map(|object| (event, whole(self.kind, object, self.metadata_only)))
    }

    async fn bookmark(&self, annotations: Value) -> Result<(), Ended> {
        let mut metadata = json!({"resourceVersion": self.told.to_string(), "creationTimestamp": null});
        if annotations != json!({}) {
            metadata["annotations"] = annotations;
        }
        let (kind, api_version) = if self.metadata_only {
            ("PartialObjectMetadata", "meta.k8s.io/v1".to_owned())
        } else {
            (self.kind.kind, self.kind.api_version())
        };
        let object = json!({"kind": kind, "apiVersion": api_version, "metadata": metadata});
        self.send(line("BOOKMARK", object.to_string().as_bytes())).await
    }

    async fn tell_gone(&self, gone: Gone) -> Result<(), Ended> {
        if self.shared.gone_as() == GoneAs::Event {
            self.send(line("ERROR", Refusal::from(gone).body().to_string().as_bytes())).await?;
        }
        Err(Ended)
    }

    async fn tell(&self, event: &str, object: &[u8]) -> Result<(), Ended> {
        let line = line(event, object);
        if self.shared.take_fault(Verb::Watch, self.kind.plural, Fault::Cut) {
            self.send(line[..line.len() / 2].to_vec()).await?;
            sleep(BEFORE_CUT).await;
            let _ = self.lines.send(Err(io::ErrorKind::ConnectionAborted.into())).await;
            return Err(Ended);
        }
        if self.shared.take_fault(Verb::Watch, self.kind.plural, Fault::Garbled) {
            return self.send([b"<", &line[1..]].concat()).await;
        }
        self.send(line).await
    }

    async fn send(&self, line: Vec<u8>) -> Result<(), Ended> {
        self.lines.send(Ok(line.into())).await.map_err(|_| Ended)
    }
}

fn line(event: &str, object: &[u8]) -> Vec<u8> {
    [format!(r#"{{"type":"{event}","object":"#).as_bytes(), object, b"}\n"].concat()
}
