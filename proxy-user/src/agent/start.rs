//! From nothing, or from what an earlier agent left, to serving.

use std::time::Instant;

use anyhow::Context as _;

use super::monitor::Monitor;
use super::node_tables::NodeTables;
use super::reload::Reload;
use super::report::Report;
use super::takeover::Takeover;
use super::{Agent, OBJECT, Policies, Servers, Services, State, hold, sweep};
use crate::config::{BpfLogLevel, Config, LocalRedirect, ObjectsFrom, PolicyDeny, SocketLb};
use crate::dataplane::ebpf::read::Pinned;
use crate::dataplane::ebpf::{Dataplane, Error, Globals, Level, Options, TcMode};
use crate::explain::explain;
use crate::node;
use crate::objects::kubernetes::{KubernetesSource, Recorder};
use crate::objects::manifest::ManifestSource;
use crate::objects::{Batch, Source};
use crate::serve::HealthCheckServers;

impl Agent {
    /// Opens the dataplane and begins to follow objects. What an earlier agent left works on, and gets the node's interfaces
    /// as they are now; where nobody left anything, no program runs before all objects are known.
    pub(super) async fn start(
        config: Config,
        reload: Reload,
        mut report: Report,
        servers: Servers,
    ) -> anyhow::Result<Self> {
        let Servers { health, metrics, failures } = &servers;
        health.waiting_for("the objects' source");
        let (source, first) = objects(&config).await?;
        health.waiting_for("the node's interfaces");
        let node = node::watch(config.devices.clone()).await?;
        health.waiting_for("the kernel programs");
        let mut dataplane = open(&config).await?;
        start_program_log(&mut dataplane)?;
        let pinned = Pinned::open(&config.bpffs)?;
        // It is the last that is written of the first full state of Services. Of another version's tables some may be missing.
        let is_fresh = pinned.epoch()? == 0 || dataplane.is_upgrading();
        let state = if is_fresh { State::Fresh } else { State::Adopted };
        sweep::start(dataplane.sweeper()?, pinned, metrics.clone());
        let mut policies = Policies::new(&config);
        policies.adopt(&dataplane.devices()?);
        let monitor = Monitor::start(&config.bpffs, &mut dataplane);
        let health_checks = HealthCheckServers::start(health.clone(), failures.clone());
        let api_server = match &source {
            Source::Kubernetes(source) => {
                report.set_recorder(Recorder::start(source.client(), &config.node_name));
                Some(source.connection())
            }
            Source::Manifests(_) => None,
        };
        let mut agent = Self {
            services: Services::new(&config.node_name).with_config(&config),
            config,
            reload,
            source,
            api_server,
            node,
            dataplane,
            policies,
            node_tables: NodeTables::default(),
            report,
            servers,
            health_checks,
            monitor,
            state,
            takeover: None,
            unapplied: Vec::new(),
            failures: Vec::new(),
            retry: None,
        };
        if let Some(batch) = first {
            agent.take(batch);
            agent.serve()?;
            agent.done([Ok(())]);
        } else {
            agent.servers.health.waiting_for("the first full list of objects");
            agent.sync();
        }
        agent.publish();
        Ok(agent)
    }

    /// Brings the kernel to the first full state. Until the tables are as they should be, an earlier agent's programs
    /// work on.
    pub(super) fn serve(&mut self) -> anyhow::Result<()> {
        self.servers.health.waiting_for("the first full state");
        self.servers.metrics.queued();
        let Self { dataplane, services, policies, node_tables, takeover, .. } = self;
        let state = self.node.borrow_and_update().clone();
        policies.bind(services.local_pods(), &state.devices, services.policies_are_hidden());
        node_tables.put(dataplane, &state, policies.bound())?;
        services.set_node_addresses(&state.addresses);
        services.sync(dataplane, &self.servers.metrics)?;
        policies.sync(dataplane, services.policies_are_hidden())?;
        let takeover = begun(takeover, dataplane)?;
        dataplane.copy_flows()?;
        node_tables.follow(dataplane, &state, policies.bound())?;
        dataplane.copy_flows()?;
        takeover.settle(|| Ok(services.image().services.keys().copied().collect()))?;
        attach_sockets(&self.config, dataplane)?;
        dataplane.remove_other_versions()?;
        tracing::info!(node = self.config.node_name, services = services.count(), "serving");
        self.state = State::Serving;
        self.tell_load_balancers();
        self.servers.health.ready();
        self.report.set_ready();
        Ok(())
    }

    /// Has what an earlier agent left serve the node's interfaces as they are now.
    pub(super) fn keep_up(&mut self) -> anyhow::Result<()> {
        let state = self.node.borrow_and_update().clone();
        self.policies.bind(std::iter::empty(), &state.devices, true);
        let takeover = begun(&mut self.takeover, &mut self.dataplane)?;
        self.node_tables.follow(&mut self.dataplane, &state, self.policies.bound())?;
        Ok(takeover.settle(|| Ok(self.dataplane.read_image()?.services.into_keys().collect()))?)
    }
}

/// The takeover, begun unless it was.
fn begun<'a>(takeover: &'a mut Option<Takeover>, dataplane: &mut Dataplane) -> Result<&'a mut Takeover, Error> {
    match takeover {
        Some(takeover) => Ok(takeover),
        none => Ok(none.insert(Takeover::begin(dataplane)?)),
    }
}

/// The source of objects, and what it has at the start if that can be told without waiting for anybody.
async fn objects(config: &Config) -> anyhow::Result<(Source, Option<Batch>)> {
    match &config.objects {
        ObjectsFrom::Manifests(dir) => {
            let seen = Instant::now();
            let (source, events) = ManifestSource::new(dir).context("manifests")?;
            Ok((Source::Manifests(source), Some(Batch { seen, events })))
        }
        ObjectsFrom::Kubernetes { kubeconfig } => {
            let source = KubernetesSource::new(kubeconfig.as_deref(), &config.node_name).await?;
            Ok((Source::Kubernetes(source), None))
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
            local_redirect: config.local_redirect == LocalRedirect::On,
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
