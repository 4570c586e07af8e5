//! From nothing, or from what an earlier agent left, to serving.

use std::time::{Duration, Instant};

use anyhow::Context as _;

use super::monitor::Monitor;
use super::node_tables::NodeTables;
use super::reload::Reload;
use super::report::Report;
use super::takeover::Takeover;
use super::{Agent, OBJECT, Policies, Servers, Services, State, hold, sweep};
use crate::config::{BpfLogLevel, Config, DataplaneMode, LocalRedirect, ObjectsFrom, PolicyDeny, SocketLb};
use crate::dataplane::ebpf::read::Pinned;
use crate::dataplane::ebpf::{self, Error, Globals, Level, Options, TcMode};
use crate::dataplane::{Dataplane, Serves as _, iptables};
use crate::explain::explain;
use crate::node::{self, NodeState};
use crate::objects::kubernetes::{KubernetesSource, Recorder};
use crate::objects::manifest::ManifestSource;
use crate::objects::{Batch, Source};
use crate::serve::HealthCheckServers;

/// Between the last connection that programs begin and their end: what began is to be made by then, and a short request
/// answered.
const LAST_REQUESTS: Duration = Duration::from_secs(1);

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
        health.waiting_for("the dataplane");
        let mut dataplane = open(&config).await?;
        // It is the last that is written of the first full state of Services. Of another version's tables some may be missing.
        let is_fresh = dataplane.maps().epoch()? == 0 || dataplane.maps().is_upgrading();
        let state = if is_fresh { State::Fresh } else { State::Adopted };
        let mut policies = Policies::new(&config);
        policies.adopt(&dataplane.maps().devices()?);
        let monitor = match &mut dataplane {
            Dataplane::Ebpf(programs) => {
                start_program_log(programs)?;
                sweep::start(programs.sweeper()?, Pinned::open(&config.bpffs)?, metrics.clone());
                Monitor::start(&config.bpffs, programs)
            }
            Dataplane::Iptables(_) => Monitor::without_programs(),
        };
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
            let removed = agent.remove_rules();
            agent.done([removed]);
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
        let Self { dataplane, services, policies, node_tables, .. } = self;
        let state = self.node.borrow_and_update().clone();
        policies.bind(services.local_pods(), &state.devices, services.policies_are_hidden());
        node_tables.put(dataplane.maps_mut(), &state, policies.bound())?;
        services.set_node_addresses(&state.addresses);
        if matches!(dataplane, Dataplane::Iptables(_)) {
            dataplane.maps().note_rules(true)?;
        }
        services.sync(dataplane, &self.servers.metrics)?;
        policies.sync(dataplane, services.policies_are_hidden())?;
        self.take_over(&state)?;
        let (mode, services) = (self.config.dataplane(), self.services.count());
        tracing::info!(node = self.config.node_name, %mode, services, "serving");
        self.state = State::Serving;
        self.tell_load_balancers();
        self.servers.health.ready();
        self.report.set_ready();
        Ok(())
    }

    /// The tables, and rules where those are made of them, are as they should be: has what reads them take the place of an
    /// earlier agent's programs.
    fn take_over(&mut self, state: &NodeState) -> anyhow::Result<()> {
        let Self { dataplane, services, policies, node_tables, takeover, .. } = self;
        let takeover = match dataplane {
            Dataplane::Iptables(rules) => {
                if rules.maps().leave_all_to_rules()? {
                    std::thread::sleep(LAST_REQUESTS);
                }
                for removed in rules.maps_mut().remove_programs()? {
                    tracing::info!(removed, "rules serve in its place");
                }
                return node_tables.follow(dataplane, state, policies.bound());
            }
            Dataplane::Ebpf(programs) => {
                let begun = begun(takeover, programs)?;
                programs.copy_flows()?;
                begun
            }
        };
        node_tables.follow(dataplane, state, policies.bound())?;
        let Dataplane::Ebpf(programs) = dataplane else { return Ok(()) };
        programs.copy_flows()?;
        takeover.settle(|| Ok(services.image().services.keys().copied().collect()))?;
        attach_sockets(&self.config, programs)?;
        Ok(programs.remove_other_versions()?)
    }

    /// Removes the rules of an earlier agent, once programs serve. Conntrack goes on to translate the connections that they
    /// began.
    pub(super) fn remove_rules(&self) -> anyhow::Result<()> {
        let Dataplane::Ebpf(programs) = &self.dataplane else { return Ok(()) };
        if programs.has_rules() {
            iptables::remove().context("the rules of an agent in iptables mode")?;
            programs.note_rules(false)?;
            tracing::info!("programs serve in the place of rules, which are removed");
        }
        Ok(())
    }

    /// Has what an earlier agent left serve the node's interfaces as they are now. Rules know no interfaces, but for those of
    /// pods, who are not known yet.
    pub(super) fn keep_up(&mut self) -> anyhow::Result<()> {
        let state = self.node.borrow_and_update().clone();
        self.policies.bind(std::iter::empty(), &state.devices, true);
        let takeover = match &mut self.dataplane {
            Dataplane::Iptables(_) => return Ok(()),
            Dataplane::Ebpf(programs) => begun(&mut self.takeover, programs)?,
        };
        self.node_tables.follow(&mut self.dataplane, &state, self.policies.bound())?;
        Ok(takeover.settle(|| Ok(self.dataplane.maps().read_image()?.services.into_keys().collect()))?)
    }
}

/// The takeover, begun unless it was.
fn begun<'a>(takeover: &'a mut Option<Takeover>, dataplane: &mut ebpf::Dataplane) -> Result<&'a mut Takeover, Error> {
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
    match config.dataplane() {
        DataplaneMode::Ebpf => Ok(Dataplane::Ebpf(Box::new(open_programs(config).await?))),
        DataplaneMode::Iptables => {
            let is_held = |error: &_| matches!(error, iptables::OpenError::Maps(Error::Locked { .. }));
            let reject = config.policy_deny == PolicyDeny::Reject;
            let opened = hold::once_free(|| iptables::Dataplane::open(OBJECT, &config.bpffs, reject), is_held).await;
            Ok(Dataplane::Iptables(Box::new(opened.context("cannot open the dataplane")?)))
        }
    }
}

async fn open_programs(config: &Config) -> anyhow::Result<ebpf::Dataplane> {
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
    let opened = hold::once_free(|| ebpf::Dataplane::open(&options), |error| matches!(error, Error::Locked { .. }));
    opened.await.context("cannot open the dataplane")
}

fn start_program_log(dataplane: &mut ebpf::Dataplane) -> anyhow::Result<()> {
    if let Some(log) = dataplane.program_log()? {
        tokio::spawn(async move {
            if let Err(error) = log.run().await {
                tracing::error!("the log of the kernel programs has ended: {}", explain(&error));
            }
        });
    }
    Ok(())
}

fn attach_sockets(config: &Config, dataplane: &mut ebpf::Dataplane) -> anyhow::Result<()> {
    match &config.cgroup {
        Some(cgroup) if config.socket_lb != SocketLb::Off => dataplane.attach_sockets(cgroup)?,
        _ => drop(dataplane.detach_sockets()?),
    }
    Ok(())
}
