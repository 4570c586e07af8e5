//! What all requests share: the objects, the faults, and the record of requests.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::sync::watch;

use super::fault::{Fault, Rule, Verb};
use super::kind::Kind;
use super::request::Request;
use super::store::Store;
use super::stored::{Key, Stored};

/// What can be chosen about a server.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Settings {
    /// Whether it speaks TLS, with a certificate of its own authority.
    pub tls: bool,
    /// Whether it wants a bearer token.
    pub token: bool,
    /// Time between the bookmarks of a watch; a minute in the real one.
    pub bookmarks: Duration,
    /// Whether a watch may ask for the objects at its start (`sendInitialEvents`), as from 1.32 on.
    pub watch_list: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self { tls: false, token: false, bookmarks: Duration::from_secs(1), watch_list: true }
    }
}

/// How a client learns that its resource version is too old. Both are seen of real servers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum GoneAs {
    /// By an ERROR event in the stream.
    #[default]
    Event,
    /// By the HTTP status 410.
    Status,
}

/// The state behind a server.
#[derive(Debug)]
pub(super) struct Shared {
    settings: Settings,
    store: Mutex<Store>,
    /// The revision; also ends watches that are to learn that they are too old.
    news: watch::Sender<u64>,
    gone_as: Mutex<GoneAs>,
    rules: Mutex<Vec<Rule>>,
    requests: Mutex<Vec<Request>>,
    token: Mutex<String>,
}

impl Shared {
    pub(super) fn new(settings: Settings, token: String) -> Self {
        Self {
            settings,
            store: Mutex::default(),
            news: watch::Sender::new(0),
            gone_as: Mutex::default(),
            rules: Mutex::default(),
            requests: Mutex::default(),
            token: Mutex::new(token),
        }
    }

    pub(super) const fn settings(&self) -> Settings {
        self.settings
    }

    pub(super) fn store(&self) -> MutexGuard<'_, Store> {
        lock(&self.store)
    }

    /// Hears of each new revision.
    pub(super) fn news(&self) -> watch::Receiver<u64> {
        self.news.subscribe()
    }

    pub(super) fn put(&self, kind: &'static Kind, object: Value) -> Arc<Stored> {
        let stored = self.store().put(kind, object);
        self.announce();
        stored
    }

    pub(super) fn delete(&self, kind: &'static Kind, key: &Key) -> Option<Arc<Stored>> {
        let deleted = self.store().delete(kind, key);
        self.announce();
        deleted
    }

    pub(super) fn compact(&self, gone_as: GoneAs) {
        *lock(&self.gone_as) = gone_as;
        self.store().compact();
        self.announce();
    }

    pub(super) fn gone_as(&self) -> GoneAs {
        *lock(&self.gone_as)
    }

    pub(super) fn add_rule(&self, rule: Rule) {
        lock(&self.rules).push(rule);
    }

    pub(super) fn clear_rules(&self) {
        lock(&self.rules).clear();
    }

    /// The lasting fault that hits a request.
    pub(super) fn fault(&self, verb: Verb, plural: &str) -> Option<Fault> {
        let rules = lock(&self.rules);
        let lasting = |rule: &&Rule| rule.hits(verb, plural) && !matches!(rule.fault, Fault::Cut | Fault::Garbled);
        rules.iter().find(lasting).map(|rule| rule.fault)
    }

    /// Whether this fault is due; it hits once.
    pub(super) fn take_fault(&self, verb: Verb, plural: &str, fault: Fault) -> bool {
        let mut rules = lock(&self.rules);
        let position = rules.iter().position(|rule| rule.hits(verb, plural) && rule.fault == fault);
        position.map(|position| rules.remove(position)).is_some()
    }

    pub(super) fn record(&self, request: Request) {
        lock(&self.requests).push(request);
    }

    pub(super) fn requests(&self) -> Vec<Request> {
        lock(&self.requests).clone()
    }

    pub(super) fn forget_requests(&self) {
        lock(&self.requests).clear();
    }

    /// Whether this `Authorization` will do.
    pub(super) fn admits(&self, authorization: Option<&str>) -> bool {
        !self.settings.token || authorization.and_then(|it| it.strip_prefix("Bearer ")) == Some(&lock(&self.token))
    }

    pub(super) fn set_token(&self, token: String) {
        *lock(&self.token) = token;
    }

    fn announce(&self) {
        self.news.send_replace(self.store().revision());
    }
}

/// What a panicked test left is still whole: each change is one call.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
