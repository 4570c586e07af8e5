//! A mode's lab: two nodes, a client and a server in pods, a server on the other node, a client outside, and what serves
//! the Services. All modes' stand at the same time.

mod objects;
mod proxy;

use std::net::SocketAddr;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use lab::figures::{Mode, Report, Size, rule_place};
use lab::traffic::{Meter, Metered, Probe, Reached, Target};
use lab::{Host, Lab, Pod, Process};

use crate::plan::Plan;

use self::objects::{LOCAL, REMOTE, TARGET_PORT};
use self::proxy::Proxy;

/// How long one try to reach a server takes at most, and the time between two.
const TRY: Duration = Duration::from_millis(500);
/// Between which two hosts traffic goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Path {
    /// From a pod through a ClusterIP to a pod of the same node.
    ClusterIp,
    /// From outside through the node port of the node that the server's pod is on.
    NodePortLocal,
    /// From outside through the node port of another node.
    NodePortRemote,
}

/// A mode's lab. Fields are in the order in which they end.
pub(crate) struct Stand {
    pub(crate) mode: Mode,
    proxy: Proxy,
    _servers: [Process; 2],
    client: Pod,
    remote: Pod,
    lab: Lab,
    /// Services that nobody asks.
    fillers: u32,
}

impl Stand {
    /// One of each mode that can be had; what can't is told to the report, or, where it was asked for, an error.
    pub(crate) fn all(plan: &Plan, report: &mut Report) -> Result<Vec<Self>> {
        let mut stands = Vec::new();
        for mode in plan.modes() {
            match Self::new(mode) {
                Ok(stand) => stands.push(stand),
                Err(error) if mode == Mode::Direct || plan.names(mode) => {
                    return Err(error.context(format!("cannot set up {mode}")));
                }
                Err(error) => report.leave_out(format!("{mode}: {error:#}")),
            }
        }
        Ok(stands)
    }

    fn new(mode: Mode) -> Result<Self> {
        if let Some(why) = proxy::missing(mode) {
            bail!(why);
        }
        let lab = Lab::builder().build()?;
        let [here, there] = [lab.node("node1")?, lab.node("node2")?];
        let (client, local, remote) =
            (here.add_pod("client-pod", 2)?, here.add_pod("local", 3)?, there.add_pod("remote", 3)?);
        let servers = [local.serve_measured(TARGET_PORT)?, remote.serve_measured(TARGET_PORT)?];
        for node in lab.nodes() {
            // How a client outside gets to a pod itself.
            let (range, via) = (format!("10.244.{}.0/24", node.number()), node.addresses().v4.to_string());
            lab.wire().run(&["ip", "route", "add", &range, "via", &via])?;
        }
        let proxy = Proxy::start(mode, &lab, &objects::cluster())?;
        Ok(Self { mode, proxy, _servers: servers, client, remote, lab, fillers: 0 })
    }

    /// Adds Services up to so many, and puts those that are asked after them; returns when both nodes serve.
    pub(crate) fn grow(&mut self, services: u32, patience: Duration) -> Result<()> {
        let deadline = Instant::now() + patience;
        let fillers = services.saturating_sub(2);
        if fillers > self.fillers {
            if self.fillers > 0 {
                self.proxy.remove(&self.lab, "asked", &objects::measured())?;
            }
            let name = format!("fillers-{fillers:05}");
            self.proxy.put(&self.lab, &name, &objects::fillers(self.fillers, fillers))?;
            let (probe, objects) = objects::probe();
            self.proxy.put(&self.lab, "probe", &objects)?;
            self.fillers = fillers;
            self.wait_reached(&[(&self.client, probe), (&self.remote, probe)], deadline)?;
            self.proxy.remove(&self.lab, "probe", &objects)?;
        }
        self.proxy.put(&self.lab, "asked", &objects::measured())?;
        let paths = [Path::ClusterIp, Path::NodePortLocal, Path::NodePortRemote].map(|path| self.ends(path));
        let elsewhere: (&Host, SocketAddr) = (&self.remote, LOCAL.cluster_ip());
        let both: Vec<_> = paths.into_iter().chain((self.mode != Mode::Direct).then_some(elsewhere)).collect();
        self.wait_reached(&both, deadline)
    }

    /// Where the rule of the asked Service stands among those of its chain, where there are rules.
    pub(crate) fn place(&self) -> Option<String> {
        if !matches!(self.mode, Mode::Iptables | Mode::KubeProxyIptables) {
            return None;
        }
        let rules = self.lab.nodes()[0].run(&["iptables-save", "-t", "nat"]).ok()?;
        rule_place(&rules, LOCAL.cluster_ip())
    }

    /// Takes the time of traffic on a path.
    pub(crate) fn meter(&self, path: Path, load: lab::traffic::Load, lasts: Duration) -> Result<Metered> {
        let (from, to) = self.ends(path);
        from.meter(&Meter { load, to, lasts }).with_context(|| format!("{load:?} on {path:?}, {}", self.mode))
    }

    /// The client and where it sends to: to the server itself where nothing serves Services.
    fn ends(&self, path: Path) -> (&Host, SocketAddr) {
        let asked = if path == Path::NodePortRemote { REMOTE } else { LOCAL };
        let (client, to): (&Host, _) = match path {
            Path::ClusterIp => (&self.client, asked.cluster_ip()),
            Path::NodePortLocal | Path::NodePortRemote => (self.lab.client(), asked.node_port(1)),
        };
        (client, if self.mode == Mode::Direct { asked.endpoint() } else { to })
    }

    /// Waits until each is reached from its host, by TCP and UDP.
    fn wait_reached(&self, ways: &[(&Host, SocketAddr)], deadline: Instant) -> Result<()> {
        if matches!(self.proxy, Proxy::Nothing) {
            return Ok(());
        }
        for (from, to) in ways {
            let targets = [false, true].map(|udp| Target { to: *to, udp });
            let probe = Probe { targets: targets.into(), timeout: TRY };
            while from.probe(&probe)?.iter().any(|reached| *reached != Reached::Yes) {
                if Instant::now() > deadline {
                    bail!(
                        "{to} is not reached from {from} in time ({}, --patience)",
                        Size::Services(self.fillers + 2).in_words()
                    );
                }
                sleep(TRY);
            }
        }
        Ok(())
    }
}
