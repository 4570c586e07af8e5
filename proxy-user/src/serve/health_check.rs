//! The health check ports of Services (`healthCheckNodePort`): what load balancers ask each node.
//!
//! A port is open as long as its Service asks for it, one listener for each family. Health of the node (deletion, taints)
//! doesn't count here: that is what `/healthz` is for.

mod answer;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use proxy_common::addr::Family;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

use self::answer::routes;
use super::failures::Failures;
use super::health::Health;
use super::listen::{Place, RETRY, Server};
use crate::complaint::Reason;
use crate::model::{HealthCheck, ServiceRef};

/// What every health check port is to say.
pub type HealthChecks = BTreeMap<(ServiceRef, Family), HealthCheck>;

/// The servers of all health check ports; they end with the process.
#[derive(Debug)]
pub struct HealthCheckServers {
    wanted: watch::Sender<Wanted>,
}

#[derive(Clone, Debug, Default)]
struct Wanted {
    checks: Arc<HealthChecks>,
    addresses: BTreeSet<IpAddr>,
}

impl HealthCheckServers {
    /// Starts without any. Each tells what keeps it from listening to `failures`, and answers that the proxy is healthy as
    /// long as `health` says so.
    #[must_use]
    pub fn start(health: Arc<Health>, failures: Failures) -> Self {
        Self::start_with_retry(health, failures, RETRY)
    }

    pub(super) fn start_with_retry(health: Arc<Health>, failures: Failures, retry: Duration) -> Self {
        let (wanted, following) = watch::channel(Wanted::default());
        tokio::spawn(Running { health, failures, retry, listeners: BTreeMap::new() }.follow(following));
        Self { wanted }
    }

    /// Opens, changes and closes ports so that they are as `checks` says, each at those of `addresses` that are of its
    /// family; the unspecified one stands for all. A port that could not be opened is tried again at once; so this is to
    /// be called after every sync, with or without changes.
    pub fn set(&self, checks: &Arc<HealthChecks>, addresses: &BTreeSet<IpAddr>) {
        self.wanted.send_replace(Wanted { checks: checks.clone(), addresses: addresses.clone() });
    }
}

impl Wanted {
    /// Every listener that is to be, with the number it tells.
    fn places(&self) -> BTreeMap<Key, usize> {
        let places = self.checks.iter().flat_map(|((service, family), check)| {
            let of_family = self.addresses.iter().filter(|ip| ip.is_ipv4() == (*family == Family::V4));
            of_family.map(move |ip| ((service.clone(), SocketAddr::new(*ip, check.port)), check.local_endpoints))
        });
        places.collect()
    }
}

/// One listener: of a Service, at an address and port.
type Key = (ServiceRef, SocketAddr);

struct Running {
    health: Arc<Health>,
    failures: Failures,
    retry: Duration,
    listeners: BTreeMap<Key, Listener>,
}

struct Listener {
    local_endpoints: Arc<AtomicUsize>,
    again: Arc<Notify>,
    task: JoinHandle<()>,
}

impl Running {
    async fn follow(mut self, mut wanted: watch::Receiver<Wanted>) {
        while wanted.changed().await.is_ok() {
            let wanted = wanted.borrow_and_update().places();
            // First what goes: a port may move from one Service to another.
            let gone: Vec<Key> = self.listeners.keys().filter(|key| !wanted.contains_key(*key)).cloned().collect();
            for key in gone {
                if let Some(listener) = self.listeners.remove(&key) {
                    listener.close().await;
                }
            }
            for (key, local_endpoints) in wanted {
                match self.listeners.get(&key) {
                    Some(listener) => {
                        listener.local_endpoints.store(local_endpoints, Ordering::Relaxed);
                        listener.again.notify_waiters();
                    }
                    None => drop(self.listeners.insert(key.clone(), self.open(&key, local_endpoints))),
                }
            }
        }
    }

    fn open(&self, (service, addr): &Key, local_endpoints: usize) -> Listener {
        let (local_endpoints, again) = (Arc::new(AtomicUsize::new(local_endpoints)), Arc::new(Notify::new()));
        let server = Server {
            name: format!("Service {service}: health check port {} (spec.healthCheckNodePort)", addr.port()),
            place: Place { addr: *addr, only_own_family: true },
            failure: self.failures.place(Some(service.into()), Reason::FailedToStartServiceHealthcheck),
            retry: self.retry,
            again: again.clone(),
        };
        let routes = routes(service.clone(), local_endpoints.clone(), self.health.clone());
        let task = tokio::spawn(async move {
            let bound = server.bind();
            server.run(bound, routes).await;
        });
        Listener { local_endpoints, again, task }
    }
}

impl Listener {
    /// The port is free after it. axum ends the connections of a server that is dropped, at once or with the answer they
    /// are at.
    async fn close(self) {
        self.task.abort();
        // It ends by being aborted, and in no other way.
        let _ = self.task.await;
    }
}
