//! Agents that are killed under load.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Result;
use lab::figures::Mode;
use lab::traffic::{Ask, Background, BackgroundPing, Ping};
use lab::{Cluster, Family, Host};

use super::Lost;
use super::scene::{ASKER, ECHO, NODE_PORTS, SERVICE, Scene};
use crate::plan::Plan;

/// Times that node1's agent is killed and another one started, and with `--quick`.
const RESTARTS: u32 = 20;
const FEW: u32 = 2;
/// Pause of each client between two requests.
const EVERY: Duration = Duration::from_millis(20);
/// TCP sends a SYN again after a second: a request that takes longer has lost one.
const TIMEOUT: Duration = Duration::from_millis(900);

/// Requests that were not answered in time, and messages on connections that stand.
pub(super) fn cause(plan: &Plan, mode: Mode) -> Result<Lost> {
    let mut scene = Scene::start(mode, [1, 2])?;
    let load = Load::start(&scene.cluster)?;
    let restarts = if plan.quick { FEW } else { RESTARTS };
    for _ in 0..restarts {
        let agent = &mut scene.cluster.agents()[0];
        agent.kill()?;
        agent.restart()?;
    }
    let (lost, sent) = load.stop()?;
    Ok(Lost { lost, of: format!("{sent} in {restarts} restarts") })
}

/// Clients at work.
struct Load {
    requests: Vec<Background>,
    pings: Vec<BackgroundPing>,
}

impl Load {
    /// From a pod and from its node through the ClusterIP, from outside through both nodes' ports; in both families.
    fn start(cluster: &Cluster) -> Result<Self> {
        let mut load = Self { requests: Vec::new(), pings: Vec::new() };
        for family in Family::BOTH {
            let ip = cluster.cluster_ip(SERVICE, family)?.ip();
            for host in [&**cluster.pod(ASKER)?, &**cluster.lab().node("node1")?] {
                load.add(host, [80, 53, ECHO].map(|port| SocketAddr::new(ip, port)))?;
            }
            for node in cluster.lab().nodes() {
                let ip = node.addresses().of(family);
                load.add(cluster.lab().client(), NODE_PORTS.map(|port| SocketAddr::new(ip, port)))?;
            }
        }
        Ok(load)
    }

    fn add(&mut self, host: &Host, [http, udp, echo]: [SocketAddr; 3]) -> Result<()> {
        let ask = |to| Ask::new(to).every(EVERY).timeout(TIMEOUT);
        self.requests.push(host.http_load(&ask(http))?);
        self.requests.push(host.udp_load(&ask(udp))?);
        self.pings.push(host.ping(&Ping { every: EVERY, ..Ping::new(echo) })?);
        Ok(())
    }

    /// How many were lost, and how many there were.
    fn stop(self) -> Result<(u64, u64)> {
        let (mut lost, mut sent) = (0, 0);
        for requests in self.requests {
            let outcomes = requests.stop()?;
            sent += outcomes.len() as u64;
            lost += outcomes.iter().filter(|outcome| outcome.is_err()).count() as u64;
        }
        for ping in self.pings {
            let report = ping.stop()?;
            sent += report.sent;
            lost += (report.sent - report.echoed).max(report.failures.len() as u64);
        }
        Ok((lost, sent))
    }
}
