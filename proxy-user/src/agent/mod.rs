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
mod report;
mod services;
mod sweep;
mod told;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::runtime::Handle;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use self::monitor::Monitor;
use self::node_tables::NodeTables;
pub use self::policies::Policies;
use self::report::{Failed, Report};
pub use self::services::Services;
use crate::config::{BpfLogLevel, Config, ObjectsFrom, PolicyDeny, SocketLb};
use crate::dataplane::ebpf::read::Pinned;
use crate::dataplane::ebpf::{Dataplane, Error, Globals, Level, Options, TcMode};
use crate::explain::explain;
use crate::model::NodePortAddresses;
use crate::node::{self, NodeState};
use crate::objects::kubernetes::KubernetesSource;
use crate::objects::manifest::ManifestSource;
use crate::objects::{Batch, ObjectEvent, Source};
use crate::serve::{self, Failures, Health, HealthCheckServers, Limits, Metrics};
use crate::status::StatusError;

/// The kernel programs, as the build embedded them; empty where they were not built.
static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/sluice-ebpf.o"));

/// How often the loop shows that it lives, and brings status and metrics up to date.
const REPORT: Duration = Duration::from_secs(5);
/// How long after a failed attempt the next one is made.
const RETRY: Duration = Duration::from_secs(1);

/// Runs until SIGTERM or SIGINT. The dataplane stays in place after it.
///
/// # Errors
/// What keeps the agent from starting, or from going on.
pub async fn run(config: Config) -> anyhow::Result<()> {
    anyhow::ensure!(
        !OBJECT.is_empty(),
        "this sluice was built without its kernel programs; `cargo xtask build` builds them"
    );
    descriptors::raise_limit();
    let mut ends = Ends::new()?;
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
    let start = spawn_blocking(move || runtime.block_on(Agent::start(config, report, told)));
    tokio::select! {
        done = start => done??.run(&mut ends).await,
        () = ends.wait() => Ok(()),
    }
}

/// The signals that end the agent.
struct Ends {
    terminate: Signal,
    interrupt: Signal,
}

impl Ends {
    fn new() -> anyhow::Result<Self> {
        let on = |kind| signal(kind).context("cannot wait for signals");
        Ok(Self { terminate: on(SignalKind::terminate())?, interrupt: on(SignalKind::interrupt())? })
    }

    async fn wait(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => tracing::info!("SIGTERM: the agent ends, the dataplane stays"),
            _ = self.interrupt.recv() => tracing::info!("SIGINT: the agent ends, the dataplane stays"),
        }
    }
}

/// What the servers tell, and what keeps them from telling it.
struct Servers {
    health: Arc<Health>,
    metrics: Arc<Metrics>,
    failures: Failures,
}

struct Agent {
    node_name: String,
    node_port_addresses: NodePortAddresses,
    source: Source,
    node: watch::Receiver<NodeState>,
    dataplane: Dataplane,
    services: Services,
    policies: Policies,
    node_tables: NodeTables,
    report: Report,
    servers: Servers,
    health_checks: HealthCheckServers,
    monitor: Monitor,
    /// When changes that are not in the kernel yet were seen.
    unapplied: Vec<std::time::Instant>,
    /// What failed at the last attempt.
    failures: Vec<String>,
    /// When to try it again.
    retry: Option<Instant>,
}

impl Agent {
    /// Brings the kernel to the first full state. Until the tables are as they should be, an earlier agent's programs
    /// work on.
    async fn start(config: Config, report: Report, servers: Servers) -> anyhow::Result<Self> {
        let Servers { health, metrics, failures } = &servers;
        health.waiting_for("the first full list of objects");
        let (source, events) = objects(&config).await?;
        health.waiting_for("the node's interfaces");
        let node = node::watch(config.devices.clone()).await?;
        health.waiting_for("the kernel programs");
        let mut dataplane = open(&config).await?;
        start_program_log(&mut dataplane)?;

        health.waiting_for("the first full state");
        let mut node_tables = NodeTables::default();
        let state = node.borrow().clone();
        let mut services = Services::new(&config.node_name).with_config(&config);
        let mut policies = Policies::new(&config);
        metrics.queued();
        policies.take(&events);
        services.take(events, metrics);
        policies.adopt(&dataplane.devices()?);
        policies.bind(services.local_pods(), &state.devices, services.hides_objects());
        node_tables.put(&mut dataplane, &state, policies.bound())?;
        services.set_node_addresses(&state.addresses);
        services.sync(&mut dataplane, metrics)?;
        policies.sync(&mut dataplane, services.hides_objects())?;
        node_tables.put(&mut dataplane, &state, policies.bound())?;
        dataplane.copy_flows()?;
        NodeTables::attach(&mut dataplane, &state)?;
        dataplane.copy_flows()?;
        node_tables.trim(&mut dataplane, &state, policies.bound())?;
        attach_sockets(&config, &mut dataplane)?;
        dataplane.remove_other_versions()?;
        sweep::start(dataplane.sweeper()?, Pinned::open(&config.bpffs)?, metrics.clone());
        tracing::info!(node = config.node_name, services = services.count(), "serving");
        let monitor = Monitor::start(&config.bpffs, &mut dataplane);
        let health_checks = HealthCheckServers::start(health.clone(), failures.clone());
        let mut agent = Self {
            node_name: config.node_name,
            node_port_addresses: config.node_port_addresses,
            source,
            node,
            dataplane,
            services,
            policies,
            node_tables,
            report,
            servers,
            health_checks,
            monitor,
            unapplied: Vec::new(),
            failures: Vec::new(),
            retry: None,
        };
        agent.follow_node_object();
        agent.tell_load_balancers();
        agent.synced();
        agent.servers.health.ready();
        agent.publish();
        Ok(agent)
    }

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
                changed = self.node.changed() => {
                    changed.context("the watch on the node's interfaces has ended")?;
                    self.sync();
                }
                () = at(retry) => self.sync(),
                () = self.monitor.changed() => self.monitor.refresh(self.services.cluster()),
                _ = ticks.tick() => {}
            }
            self.servers.health.heartbeat();
            self.publish();
        }
    }

    fn objects_changed(&mut self, Batch { seen, events }: Batch) {
        self.monitor.note(&events);
        let policies = self.policies.take(&events);
        let services = self.services.take(events, &self.servers.metrics);
        self.follow_node_object();
        if services || policies {
            self.unapplied.push(seen);
            self.sync();
        }
    }

    /// Tells load balancers whether the node is theirs to use. A Node that is gone leaves what was told last. One that
    /// never was leaves the node eligible: a directory of manifests need not have Nodes, and nobody takes such a node away.
    fn follow_node_object(&self) {
        if let Some(node) = self.services.cluster().node(&self.node_name) {
            self.servers.health.set_node_eligible(node.is_eligible());
        }
    }

    /// Carries everything that changed to the kernel; what fails is tried again a little later.
    fn sync(&mut self) {
        self.servers.health.queued();
        self.servers.metrics.queued();
        let state = self.node.borrow_and_update().clone();
        self.services.set_node_addresses(&state.addresses);
        let hidden = self.services.hides_objects();
        self.policies.bind(self.services.local_pods(), &state.devices, hidden);
        // A pod is held to its addresses only while the kernel knows who it is: from after its identity comes until before it
        // goes.
        let before = self.node_tables.put(&mut self.dataplane, &state, self.policies.bound());
        // None waits for another: a pod's interface is served although a table is full, and load balancers are told of
        // endpoints although an interface can't be had.
        let services = self.services.sync(&mut self.dataplane, &self.servers.metrics);
        self.tell_load_balancers();
        let policies = self.policies.sync(&mut self.dataplane, hidden);
        let node = self.node_tables.follow(&mut self.dataplane, &state, self.policies.bound());
        let errors = [before, services, policies, node].into_iter().filter_map(Result::err);
        self.failures = errors.map(|error| explain(error.as_ref())).collect();
        for failure in &self.failures {
            tracing::error!("{failure}; trying again");
        }
        if self.failures.is_empty() {
            self.retry = None;
            self.synced();
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
        let addresses = health_ports::addresses(&self.node_port_addresses, internal_ips, &self.node.borrow().addresses);
        self.health_checks.set(self.services.told().health_checks(), &addresses);
    }

    fn publish(&mut self) {
        let Self { services, policies, node, dataplane, servers: Servers { metrics, failures: servers, .. }, .. } =
            self;
        let failed = Failed { kernel: &self.failures, servers };
        self.report.publish(services, policies, &node.borrow(), dataplane, metrics, failed);
    }
}

/// The given moment; never, without one.
async fn at(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

/// The source of objects, and what it has at the start.
async fn objects(config: &Config) -> anyhow::Result<(Source, Vec<ObjectEvent>)> {
    match &config.objects {
        ObjectsFrom::Manifests(dir) => {
            let (source, events) = ManifestSource::new(dir).context("manifests")?;
            Ok((Source::Manifests(source), events))
        }
        ObjectsFrom::Kubernetes { kubeconfig } => {
            let source = KubernetesSource::new(kubeconfig.as_deref(), &config.node_name).await?;
            Ok((Source::Kubernetes(source), Vec::new()))
        }
    }
}

async fn open(config: &Config) -> anyhow::Result<Dataplane> {
    let options = Options {
        object: OBJECT,
        bpffs: &config.bpffs,
        tc_mode: TcMode::detect(),
        socket_lb: config.socket_lb != SocketLb::Off,
        bpf_log_level: match config.bpf_log_level {
            BpfLogLevel::Off => None,
            BpfLogLevel::Error => Some(Level::Error),
            BpfLogLevel::Warn => Some(Level::Warn),
            BpfLogLevel::Info => Some(Level::Info),
            BpfLogLevel::Debug => Some(Level::Debug),
            BpfLogLevel::Trace => Some(Level::Trace),
        },
        globals: Globals {
            host_netns_cookie: node::netns_cookie().context("the network namespace's cookie")?,
            socket_lb_host_only: config.socket_lb == SocketLb::Host,
            policy_reject: config.policy_deny == PolicyDeny::Reject,
        },
    };
    // Its own lock is what agents have in common that share no /run.
    let opened = hold::once_free(|| Dataplane::open(&options), |error| matches!(error, Error::Locked { .. }));
    opened.await.context("cannot open the dataplane")
}

fn start_program_log(dataplane: &mut Dataplane) -> anyhow::Result<()> {
    if let Some(log) = dataplane.program_log()? {
        tokio::spawn(async move {
            if let Err(error) = log.run().await {
                tracing::error!("the log of the kernel programs has ended: {}", explain(&error));
            }
        });
    }
    Ok(())
}

fn attach_sockets(config: &Config, dataplane: &mut Dataplane) -> anyhow::Result<()> {
    match &config.cgroup {
        Some(cgroup) if config.socket_lb != SocketLb::Off => dataplane.attach_sockets(cgroup)?,
        _ => drop(dataplane.detach_sockets()?),
    }
    Ok(())
}
