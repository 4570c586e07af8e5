//! What serves a mode's Services, and how it is told of objects.

use anyhow::{Context as _, Result};
use lab::api_server::{Api as _, RealApiServer};
use lab::figures::Mode;
use lab::{Agent, AgentOptions, Lab, Process};
use serde_json::Value;

use crate::sluice;

/// An agent or a kube-proxy on each node, or nothing.
pub(super) enum Proxy {
    Nothing,
    Agents { _agents: Vec<Agent> },
    KubeProxies { server: Box<RealApiServer>, _processes: Vec<Process> },
}

/// Why a mode can't be had on this machine.
pub(super) fn missing(mode: Mode) -> Option<&'static str> {
    let assets = std::env::var_os("KUBEBUILDER_ASSETS").map(std::path::PathBuf::from);
    let has = |program: &&str| assets.as_ref().is_some_and(|dir| dir.join(program).is_file());
    let missing = mode.is_kube_proxy() && !["etcd", "kube-apiserver", "kube-proxy"].iter().all(has);
    missing.then_some("KUBEBUILDER_ASSETS names no directory with etcd, kube-apiserver and kube-proxy")
}

impl Proxy {
    /// Starts what the mode is, with `objects` there already, and waits until it is ready.
    pub(super) fn start(mode: Mode, lab: &Lab, objects: &[Value]) -> Result<Self> {
        let agents = |options: AgentOptions| {
            put_manifests(lab, "cluster", objects)?;
            let launch = |node| Agent::launch(lab, node, &options);
            let mut agents = lab.nodes().iter().map(launch).collect::<Result<Vec<_>, _>>()?;
            agents.iter_mut().try_for_each(Agent::wait_ready)?;
            Ok(Self::Agents { _agents: agents })
        };
        match mode {
            Mode::KubeProxyIptables => kube_proxies(lab, "iptables", objects),
            Mode::KubeProxyNftables => kube_proxies(lab, "nftables", objects),
            _ => sluice::options(mode).map_or(Ok(Self::Nothing), agents),
        }
    }

    /// Adds objects, as one file where files are followed. Objects of the same name are replaced.
    pub(super) fn put(&self, lab: &Lab, name: &str, objects: &[Value]) -> Result<()> {
        match self {
            Self::Nothing => Ok(()),
            Self::Agents { .. } => put_manifests(lab, name, objects),
            Self::KubeProxies { server, .. } => Ok(server.apply_all(objects)?),
        }
    }

    /// Removes what was put by a name.
    pub(super) fn remove(&self, lab: &Lab, name: &str, objects: &[Value]) -> Result<()> {
        match self {
            Self::Nothing => Ok(()),
            Self::Agents { .. } => Ok(lab.manifests().remove(&file(name))?),
            Self::KubeProxies { server, .. } => Ok(objects.iter().try_for_each(|object| server.delete(object))?),
        }
    }
}

fn put_manifests(lab: &Lab, name: &str, objects: &[Value]) -> Result<()> {
    let text = objects.iter().map(Value::to_string).collect::<Vec<_>>().join("\n");
    Ok(lab.manifests().write(&file(name), &text)?)
}

/// JSON is read many times faster than YAML.
fn file(name: &str) -> String {
    format!("{name}.json")
}

fn kube_proxies(lab: &Lab, mode: &str, objects: &[Value]) -> Result<Proxy> {
    let program = lab::api_server::asset("kube-proxy")?;
    let server = Box::new(RealApiServer::in_lab(lab)?);
    server.apply_all(objects)?;
    let start = |node: &lab::Node| {
        let arguments = [
            ("kubeconfig", server.kubeconfig().display().to_string()),
            ("proxy-mode", mode.to_owned()),
            ("hostname-override", node.name().to_owned()),
            ("cluster-cidr", "10.244.0.0/16".to_owned()),
            // Limits of the machine, which are not a network namespace's to change.
            ("conntrack-max-per-core", "0".to_owned()),
            ("conntrack-tcp-timeout-established", "0s".to_owned()),
            ("conntrack-tcp-timeout-close-wait", "0s".to_owned()),
        ];
        let arguments = arguments.map(|(name, value)| format!("--{name}={value}"));
        node.spawn("kube-proxy", &program, &arguments).with_context(|| format!("start kube-proxy on {}", node.name()))
    };
    let processes = lab.nodes().iter().map(start).collect::<Result<_>>()?;
    Ok(Proxy::KubeProxies { server, _processes: processes })
}
