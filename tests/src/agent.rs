//! The agent of a node, as its DaemonSet pod would run it.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use rustix::process::Signal;

use crate::api_server::Api;
use crate::error::Result;
use crate::lab::Lab;
use crate::node::Node;
use crate::process::Process;
use crate::programs;
use crate::traffic;
use crate::wait::patient;

/// The agent's health server, inside its node.
const HEALTHZ: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 10256);
/// The agent's option for an API server.
const KUBECONFIG: &str = "--kubeconfig";
/// How long an agent may take until it is ready; a loaded machine takes long to verify programs.
const READY_LIMIT: Duration = Duration::from_mins(1);
/// How long one look at its health may take.
const LOOK_LIMIT: Duration = Duration::from_secs(1);
/// How long an agent may take to end after SIGTERM.
const TERM_LIMIT: Duration = Duration::from_secs(10);

/// The agent's `--socket-lb`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SocketLb {
    /// At the sockets of pods and of the node.
    On,
    /// At the sockets of the node only.
    Host,
    /// Per packet only.
    Off,
}

impl SocketLb {
    /// The settings under which every suite has to pass.
    pub const BOTH: [Self; 2] = [Self::On, Self::Off];
}

impl fmt::Display for SocketLb {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::On => "on",
            Self::Host => "host",
            Self::Off => "off",
        })
    }
}

/// The agent's `--mode`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Mode {
    /// Programs in the kernel.
    #[default]
    Ebpf,
    /// Rules of iptables.
    Iptables,
}

impl fmt::Display for Mode {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Ebpf => "ebpf",
            Self::Iptables => "iptables",
        })
    }
}

/// How an agent is started.
#[derive(Clone, Debug)]
pub struct AgentOptions {
    /// Its `--mode`.
    pub mode: Mode,
    /// Its `--socket-lb`.
    pub socket_lb: SocketLb,
    /// Further arguments. With a `--kubeconfig` among them it follows that API server, and not the lab's manifests.
    pub arguments: Vec<String>,
}

impl AgentOptions {
    /// On the objects of an API server.
    #[must_use]
    pub fn following(server: &dyn Api) -> Self {
        let kubeconfig = server.kubeconfig().display().to_string();
        Self { arguments: vec![KUBECONFIG.into(), kubeconfig], ..SocketLb::On.into() }
    }
}

impl From<SocketLb> for AgentOptions {
    fn from(socket_lb: SocketLb) -> Self {
        Self { mode: Mode::Ebpf, socket_lb, arguments: Vec::new() }
    }
}

impl From<Mode> for AgentOptions {
    fn from(mode: Mode) -> Self {
        Self { mode, ..SocketLb::On.into() }
    }
}

/// A node's running agent; killed when dropped, which leaves what it put into the kernel in place.
#[derive(Debug)]
pub struct Agent {
    program: PathBuf,
    arguments: Vec<String>,
    node: crate::host::Host,
    process: Process,
}

impl Agent {
    /// Starts the agent of a node on the lab's manifests, and returns when it is ready.
    pub fn start(lab: &Lab, node: &Node, options: &AgentOptions) -> Result<Self> {
        let mut agent = Self::launch(lab, node, options)?;
        agent.wait_ready()?;
        Ok(agent)
    }

    /// Starts the agent without waiting for it.
    pub fn launch(lab: &Lab, node: &Node, options: &AgentOptions) -> Result<Self> {
        let program = programs::sluice()?;
        let bpffs = node.bpffs().expect("a node has a bpffs").display().to_string();
        let named = [
            ("--node-name", node.name().to_owned()),
            ("--mode", options.mode.to_string()),
            ("--bpffs", bpffs),
            ("--cgroup", node.cgroup_root().display().to_string()),
            ("--socket-lb", options.socket_lb.to_string()),
        ];
        let manifests = ("--manifests", lab.manifests().dir().display().to_string());
        let is_given = |name: &str| options.arguments.iter().any(|it| it == name);
        let named = named.into_iter().chain((!is_given(KUBECONFIG)).then_some(manifests));
        // One that is given otherwise is not given twice.
        let named = named.filter(|(name, _)| !is_given(name)).flat_map(|(name, value)| [name.to_owned(), value]);
        let arguments: Vec<_> =
            std::iter::once("agent".to_owned()).chain(named).chain(options.arguments.iter().cloned()).collect();
        let host = (**node).clone();
        let process = host.spawn("agent", &program, &arguments)?;
        Ok(Self { program, arguments, node: host, process })
    }

    /// Waits until the first full state is in the kernel.
    pub fn wait_ready(&mut self) -> Result<()> {
        let node = &self.node;
        self.process.wait_until(patient(READY_LIMIT), |_| node.inside(|| is_well("/readyz")).unwrap_or(false))
    }

    /// An error with the end of its log if it has ended.
    pub fn ensure_running(&mut self) -> Result<()> {
        self.process.ensure_running()
    }

    /// Whether `/readyz` answers 200 now.
    pub fn is_ready(&self) -> Result<bool> {
        self.node.inside(|| is_well("/readyz"))
    }

    /// Whether `/livez` answers 200 now: else the kubelet would kill it.
    pub fn is_alive(&self) -> Result<bool> {
        self.node.inside(|| is_well("/livez"))
    }

    /// Ends the agent at once (SIGKILL).
    pub fn kill(&mut self) -> Result<()> {
        self.end(Signal::KILL)
    }

    /// Asks the agent to end (SIGTERM), and waits until it has.
    pub fn terminate(&mut self) -> Result<()> {
        self.end(Signal::TERM)
    }

    /// Starts it again as it was started, after [`Agent::kill`] or [`Agent::terminate`], and waits until it is ready.
    pub fn restart(&mut self) -> Result<()> {
        self.relaunch()?;
        self.wait_ready()
    }

    /// The same without waiting for it.
    pub fn relaunch(&mut self) -> Result<()> {
        self.process = self.node.spawn("agent", &self.program, &self.arguments)?;
        Ok(())
    }

    /// Has [`Agent::restart`] start another build of `sluice`.
    pub fn set_program(&mut self, program: impl Into<PathBuf>) {
        self.program = program.into();
    }

    /// What it has logged since it was last started.
    #[must_use]
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Name of its node.
    #[must_use]
    pub fn node(&self) -> &str {
        self.node.name()
    }

    pub(crate) fn leave(&mut self) {
        self.process.leave();
    }

    fn end(&mut self, signal: Signal) -> Result<()> {
        self.process.signal(signal)?;
        self.process.wait(patient(TERM_LIMIT)).map(drop)
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- log of the agent on {}:\n{}---", self.node, self.log());
        }
    }
}

fn is_well(path: &str) -> bool {
    traffic::page(HEALTHZ, patient(LOOK_LIMIT), path).is_some_and(|page| page.is_ok_and(|page| page.code == 200))
}
