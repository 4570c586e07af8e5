//! Follows one kind of object for as long as the source lives.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::{Stream, StreamExt as _};
use http::Request;
use kube::client::Body;
use kube::runtime::utils::Backoff as _;
use kube::runtime::watcher::{self, DefaultBackoff, Event, watcher};
use kube::{Api, Client};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use super::batches::Told;
use super::connection::Tracker;
use super::feed::Feed;
use super::kinds::{Followed, config};
use super::received::Received;
use super::trouble::Trouble;
use crate::model::Kind;

/// For one page of a list to come. The API server itself gives up a request after a minute.
const PAGE_AT_MOST: Duration = Duration::from_secs(90);

type Events<K> = Pin<Box<dyn Stream<Item = watcher::Result<Event<Received<K>>>> + Send>>;

/// What all kinds are followed with.
#[derive(Clone)]
pub(super) struct Context {
    pub(super) client: Client,
    pub(super) node_name: Arc<str>,
    pub(super) tracker: Arc<Tracker>,
    pub(super) told: mpsc::Sender<Told>,
}

/// Lists and watches `K`, and tells what there is and what changes, until nobody listens.
pub(super) async fn follow<K: Followed>(context: Context) {
    let Context { client, node_name, tracker, told } = context;
    let client = noting_watches(client, K::KIND, tracker.clone());
    let start = || -> Events<K> { Box::pin(watcher(Api::all(client.clone()), config::<K>(&node_name))) };
    let (mut events, mut feed) = (start(), Feed::new(K::KIND));
    let mut progress = Progress { is_listing: true, is_complete: false };
    let mut backoff = DefaultBackoff::default();
    loop {
        match next(&mut events, progress.is_listing).await {
            Ok(event) => {
                // A list that only begins says nothing yet.
                if !matches!(event, Event::Init) {
                    backoff.reset();
                }
                let is_first = progress.note::<K>(&event, &tracker);
                let (seen, events) = (Instant::now(), feed.take(event));
                if (is_first || !events.is_empty()) && told.send(Told { seen, events, is_first }).await.is_err() {
                    return;
                }
            }
            Err(trouble) => {
                if let Some(error) = trouble.text(K::KIND) {
                    tracker.lost(K::KIND, error);
                }
                // It has no end.
                sleep(backoff.next().unwrap_or(PAGE_AT_MOST)).await;
                if trouble.needs_a_new_list() {
                    (events, progress.is_listing) = (start(), true);
                }
            }
        }
    }
}

/// Where a watch is.
struct Progress {
    /// A list has begun, or is about to, and has not ended.
    is_listing: bool,
    /// There was a whole list.
    is_complete: bool,
}

impl Progress {
    /// Takes in what the watch says, and tells `tracker`; returns whether the first list is whole with this.
    fn note<K: Followed>(&mut self, event: &Event<Received<K>>, tracker: &Tracker) -> bool {
        match event {
            Event::Init => {
                self.is_listing = true;
                if self.is_complete {
                    tracker.relists();
                }
                false
            }
            Event::InitDone => {
                self.is_listing = false;
                tracker.listed(K::KIND);
                !std::mem::replace(&mut self.is_complete, true)
            }
            Event::InitApply(_) | Event::Apply(_) | Event::Delete(_) => false,
        }
    }
}

/// What the watch says next. While it lists, the server has so long for each page; after that, the watch ends by itself.
async fn next<K>(events: &mut Events<K>, is_listing: bool) -> Result<Event<Received<K>>, Trouble> {
    let at_most = if is_listing { PAGE_AT_MOST } else { Duration::MAX };
    let next = timeout(at_most, events.next()).await.map_err(|_| Trouble::NoAnswer(at_most))?;
    // It has no end.
    next.unwrap_or(Err(watcher::Error::NoResourceVersion)).map_err(Trouble::from)
}

/// The same client, which notes when the server agrees to a watch: of that the watcher says nothing before something
/// changes, which may be days later.
fn noting_watches(client: Client, kind: Kind, tracker: Arc<Tracker>) -> Client {
    let namespace = client.default_namespace().to_owned();
    let ask = move |request: Request<Body>| -> Pin<Box<dyn Future<Output = _> + Send>> {
        let (client, tracker) = (client.clone(), tracker.clone());
        let is_watch = request.uri().query().is_some_and(|query| query.split('&').any(|it| it == "watch=true"));
        Box::pin(async move {
            let response = client.send(request).await?;
            if is_watch && response.status().is_success() {
                tracker.followed(kind);
            }
            Ok::<_, kube::Error>(response)
        })
    };
    Client::new(tower::service_fn(ask), namespace)
}
