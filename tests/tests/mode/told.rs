//! What tells which mode serves, and why.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use anyhow::{Context as _, Result};
use lab::{Agent, AgentOptions, Mode, SocketLb};

use crate::scene::{cluster, status};

/// The agent's metrics server, inside its node.
const METRICS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 10_249);

#[test]
fn proxy_mode_and_status_tell_the_mode() -> Result<()> {
    let cluster = cluster()?;
    let node = cluster.lab().node("node1")?;
    for mode in [Mode::Ebpf, Mode::Iptables] {
        let mut agent = Agent::start(cluster.lab(), node, &AgentOptions { mode, ..SocketLb::Off.into() })?;
        assert_eq!(node.page(METRICS, "/proxyMode")?.context("nobody listens")?.body, mode.to_string());
        assert_eq!(status(node)?["agent"]["mode"], mode.to_string());
        agent.terminate()?;
    }
    Ok(())
}

/// A directory that is no cgroup v2 stands for a kernel that lacks something.
#[test]
fn auto_picks_rules_where_programs_cannot_serve_and_says_why() -> Result<()> {
    let cluster = cluster()?;
    let node = cluster.lab().node("node1")?;
    for (cgroup, mode, why) in [(None, "ebpf", "has all"), (Some("/proc"), "iptables", "/proc is not cgroup v2")] {
        let cgroup = cgroup.into_iter().flat_map(|path| ["--cgroup".to_owned(), path.into()]);
        let arguments = ["--mode".to_owned(), "auto".into()].into_iter().chain(cgroup).collect();
        let mut agent = Agent::start(cluster.lab(), node, &AgentOptions { arguments, ..SocketLb::On.into() })?;
        let status = status(node)?;
        assert_eq!(status["agent"]["mode"], mode);
        let reason = status["agent"]["modeReason"].as_str().unwrap_or_default();
        assert!(reason.contains(why), "{reason}");
        agent.terminate()?;
    }
    Ok(())
}

#[test]
fn commands_that_need_programs_say_what_to_use_instead() -> Result<()> {
    let cluster = cluster()?;
    let node = cluster.lab().node("node1")?;
    let _agent = Agent::start(cluster.lab(), node, &Mode::Iptables.into())?;
    let commands =
        [(&["get", "flows"][..], "conntrack -L"), (&["get", "drops"], "iptables -L"), (&["monitor"], "conntrack -E")];
    for (command, instead) in commands {
        let output = node.sluice(command)?;
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && errors.contains(instead), "{command:?}: {errors}");
    }
    Ok(())
}
