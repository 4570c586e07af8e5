//! The agent: one loop that owns all state, woken by changes of objects, of the node, and by the clock.
//!
//! Nothing here decides what a table holds; it carries what the model and the plan say to the dataplane, in the order
//! that loses no packet: tables first, programs after.

mod bindings;
mod descriptors;
mod health_ports;
mod hold;
mod latency;
mod monitor;
mod node_tables;
mod policies;
mod policy_hits;
mod reload;
mod report;
mod services;
mod signals;
mod start;
mod sweep;
mod takeover;
mod told;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use self::monitor::Monitor;
use self::node_tables::NodeTables;
pub use self::policies::Policies;
use self::reload::{Reload, at_once};
use self::report::{Failed, Report};
pub use self::services::Services;
use self::signals::Ends;
use self::takeover::Takeover;
use crate::config::{Config, Sources};
use crate::dataplane::{Dataplane, Serves as _};
use crate::explain::explain;
use crate::node::{self, NodeState};
use crate::objects::kubernetes::Connection;
use crate::objects::{Batch, Source};
use crate::serve::{self, Failures, Health, HealthCheckServers, Limits, Metrics};
use crate::status::StatusError;

/// The kernel programs, as the build embedded them; empty where they were not built.
static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/sluice-ebpf.o"));

/// How often the loop shows that it lives, and brings status and metrics up to date.
const REPORT: Duration = Duration::from_secs(5);
/// How long after a failed attempt the next one is made.
const RETRY: Duration = Duration::from_secs(1);

/// Runs by `config` until SIGTERM or SIGINT, and by what `sources` say when they change. The dataplane stays in place after
/// it.
///
/// # Errors
/// What keeps the agent from starting, or from going on.
pub async fn run(config: Config, sources: Sources) -> anyhow::Result<()> {
    anyhow::ensure!(
        !OBJECT.is_empty(),
        "this sluice was built without its kernel programs; `cargo xtask build` builds them"
    );
    descriptors::raise_limit();
    let mut ends = Ends::new()?;
    let reload = Reload::new(sources)?;
    let taken = hold::once_free(|| Report::open(&config), |error| matches!(error, StatusError::Locked { .. }));
    let report = tokio::select! {
        report = taken => report?,
        () = ends.wait() => return Ok(()),
    };
    let health = Arc::new(Health::new(Limits::default()));
    let metrics = Arc::new(Metrics::new(&config));
    let failures = Failures::default();
    serve::start(&config, &health, &metrics, &failures)?;
    // On a thread of its own: the verifier takes seconds, and neither signals nor health are to wait for it. Whatever a
    // start has done so far, the next one takes over.
    let runtime = Handle::current();
    let told = Servers { health, metrics, failures };
    let start = spawn_blocking(move || runtime.block_on(Agent::start(config, reload, report, told)));
    tokio::select! {
        done = start => done??.run(&mut ends).await,
        () = ends.wait() => Ok(()),
    }
}

/// What the servers tell, and what keeps them from telling it.
struct Servers {
    health: Arc<Health>,
    metrics: Arc<Metrics>,
    failures: Failures,
}

struct Agent {
    config: Config,
    reload: Reload,
    source: Source,
    /// How the API server is doing, where objects come from one.
    api_server: Option<watch::Receiver<Connection>>,
    node: watch::Receiver<NodeState>,
    dataplane: Dataplane,
    services: Services,
    policies: Policies,
    node_tables: NodeTables,
    report: Report,
    servers: Servers,
    health_checks: HealthCheckServers,
    monitor: Monitor,
    /// What the dataplane serves.
    state: State,
    /// Connections of another proxy; `None` before programs of this agent are attached.
    takeover: Option<Takeover>,
    /// When changes that are not in the kernel yet were seen.
    unapplied: Vec<std::time::Instant>,
    /// What failed at the last attempt.
    failures: Vec<String>,
    /// When to try it again.
    retry: Option<Instant>,
}

/// What the dataplane serves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// Nothing: no agent has brought these tables to a full state.
    Fresh,
    /// What an earlier agent left, on interfaces as they are now.
    Adopted,
    /// What this one knows.
    Serving,
}

impl Agent {
    async fn run(&mut self, ends: &mut Ends) -> anyhow::Result<()> {
        let mut ticks = interval(REPORT);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let retry = self.retry;
            tokio::select! {
                () = ends.wait() => return Ok(()),
                batch = self.source.next() => {
                    self.objects_changed(batch.context("the watch on objects has ended")?);
                }
                () = changed(&mut self.api_server) => {}
                changed = self.node.changed() => {
                    changed.context("the watch on the node's interfaces has ended")?;
                    self.sync();
                }
                () = at(retry) => self.sync(),
                () = self.monitor.changed() => self.monitor.refresh(self.policies.pods()),
                () = self.reload.asked() => self.reconfigure().await,
                _ = ticks.tick() => {}
            }
            self.servers.health.heartbeat();
            self.publish();
        }
    }

    /// Works by the configuration as it is now, as far as that takes no restart; one that can't be understood changes
    /// nothing.
    async fn reconfigure(&mut self) {
        match self.apply_configuration().await {
            Ok(later) if later.is_empty() => tracing::info!("the configuration was read again"),
            Ok(later) => tracing::warn!("the configuration was read again; these take a restart: {}", later.join(", ")),
            Err(error) => {
                let error = format!("the configuration stays as it was: {}", explain(error.as_ref()));
                tracing::error!("{error}");
                self.report.not_in_force(vec![error]);
            }
        }
    }

    async fn apply_configuration(&mut self) -> anyhow::Result<Vec<String>> {
        let (config, later) = at_once(&self.config, self.reload.read()?);
        if config.devices != self.config.devices {
            self.node = node::watch(config.devices.clone()).await?;
        }
        self.services.reconfigure(&config);
        self.config = config;
        self.sync();
        self.report.not_in_force(later.iter().map(|key| format!("{key}: takes a restart")).collect());
        Ok(later)
    }

    fn objects_changed(&mut self, batch: Batch) {
        if self.take(batch) {
            self.sync();
        }
    }

    /// Takes objects in; returns whether the kernel is to be told.
    fn take(&mut self, Batch { seen, events }: Batch) -> bool {
        self.monitor.note(&events);
        let policies = self.policies.take(&events);
        let services = self.services.take(events, &self.servers.metrics);
        self.follow_node_object();
        let is_due = services || policies;
        if is_due && self.state == State::Serving {
            self.unapplied.push(seen);
        }
        is_due && self.services.is_complete()
    }

    /// Tells load balancers whether the node is theirs to use. A Node that is gone leaves what was told last. One that
    /// never was leaves the node eligible: a directory of manifests need not have Nodes, and nobody takes such a node away.
    fn follow_node_object(&self) {
        if let Some(node) = self.services.cluster().node(&self.config.node_name) {
            self.servers.health.set_node_eligible(node.is_eligible());
        }
    }

    /// Carries everything that changed to the kernel; what fails is tried again a little later. Of objects nothing is, before
    /// all are known.
    fn sync(&mut self) {
        match self.state {
            State::Fresh | State::Adopted if self.services.is_complete() => {
                let done = self.serve().and_then(|()| self.remove_rules());
                self.done([done]);
            }
            State::Fresh => {}
            State::Adopted => {
                let done = self.keep_up();
                self.done([done]);
            }
            State::Serving => self.sync_all(),
        }
    }

    fn sync_all(&mut self) {
        self.servers.health.queued();
        self.servers.metrics.queued();
        let state = self.node.borrow_and_update().clone();
        self.services.set_node_addresses(&state.addresses);
        let hidden = self.services.policies_are_hidden();
        self.policies.bind(self.services.local_pods(), &state.devices, hidden);
        // A pod is held to its addresses only while the kernel knows who it is: from after its identity comes until before it
        // goes.
        let before = self.node_tables.put(self.dataplane.maps_mut(), &state, self.policies.bound());
        // None waits for another: a pod's interface is served although a table is full, and load balancers are told of
        // endpoints although an interface can't be had.
        let services = self.services.sync(&mut self.dataplane, &self.servers.metrics);
        self.tell_load_balancers();
        let policies = self.policies.sync(&mut self.dataplane, hidden);
        let node = self.node_tables.follow(&mut self.dataplane, &state, self.policies.bound());
        let rules = self.remove_rules();
        self.done([before, services, policies, node, rules]);
    }

    fn done<const N: usize>(&mut self, parts: [anyhow::Result<()>; N]) {
        let errors = parts.into_iter().filter_map(Result::err);
        self.failures = errors.map(|error| explain(error.as_ref())).collect();
        for failure in &self.failures {
            tracing::error!("{failure}; trying again");
        }
        if self.failures.is_empty() {
            self.retry = None;
            // Of objects the kernel has nothing yet before this one serves.
            if self.state == State::Serving {
                self.synced();
            }
        } else {
            self.retry = Some(Instant::now() + RETRY);
        }
    }

    /// The kernel has everything that changed.
    fn synced(&mut self) {
        let Servers { health, metrics, .. } = &self.servers;
        for seen in self.unapplied.drain(..) {
            metrics.programmed(seen.elapsed());
        }
        health.synced();
        metrics.nothing_pending();
    }

    /// Opens, changes and closes the health check ports of Services, by what the kernel has of them.
    fn tell_load_balancers(&self) {
        let internal_ips = self.services.cluster().internal_ips();
        let addresses =
            health_ports::addresses(&self.config.node_port_addresses, internal_ips, &self.node.borrow().addresses);
        self.health_checks.set(self.services.told().health_checks(), &addresses);
    }

    fn publish(&mut self) {
        if let Some(connection) = &mut self.api_server {
            self.report.set_api_server(&connection.borrow_and_update(), &self.servers.metrics);
        }
        let Self { services, policies, node, dataplane, servers: Servers { metrics, failures: servers, .. }, .. } =
            self;
        let failed = Failed { kernel: &self.failures, servers };
        self.report.taking_over(self.takeover.as_ref().map_or(0, Takeover::alive));
        self.report.publish(services, policies, &node.borrow(), dataplane.maps(), metrics, failed);
    }
}

/// Returns when the API server does better or worse; never, where there is none.
async fn changed(api_server: &mut Option<watch::Receiver<Connection>>) {
    let Some(connection) = api_server else { return std::future::pending().await };
    // Those who tell are in the source, so they are there as long as this waits.
    if connection.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// The given moment; never, without one.
async fn at(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => std::future::pending().await,
    }
}
