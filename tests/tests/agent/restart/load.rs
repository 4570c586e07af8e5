//! Traffic of every kind, from everywhere, that notices each packet lost.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Result;
use lab::traffic::{Ask, Background, BackgroundPing, Ping};
use lab::{Cluster, Family, Host};

use super::{ECHO, ECHO_NODE_PORT, address};
use crate::support::kernel::retransmitted;

/// Pause of each client between two requests.
const EVERY: Duration = Duration::from_millis(20);
/// TCP sends a SYN again after a second: a request that takes longer has lost one.
const TIMEOUT: Duration = Duration::from_millis(900);

/// Clients at work.
pub(super) struct Load {
    pings: Vec<(String, BackgroundPing)>,
    requests: Vec<(String, Background)>,
    retransmitted: BTreeMap<String, u64>,
}

impl Load {
    pub(super) fn start(cluster: &Cluster) -> Result<Self> {
        let retransmitted = retransmitted(&hosts(cluster)?)?;
        let (mut pings, mut requests) = (Vec::new(), Vec::new());
        for (host, [http, udp, echo]) in ways(cluster)? {
            let named = |kind: &str, to: SocketAddr| format!("{kind} from {host} to {to}");
            pings.push((named("connection", echo), host.ping(&Ping { every: EVERY / 2, ..Ping::new(echo) })?));
            let ask = |to| Ask::new(to).every(EVERY).timeout(TIMEOUT);
            requests.push((named("HTTP", http), host.http_load(&ask(http))?));
            requests.push((named("UDP", udp), host.udp_load(&ask(udp))?));
        }
        Ok(Self { pings, requests, retransmitted })
    }

    /// Ends the traffic, which went on while agents were replaced so many `times`. Each connection lived and each request
    /// was answered; nothing was sent again.
    pub(super) fn assert_nothing_lost(self, cluster: &Cluster, times: usize) -> Result<()> {
        let before = self.retransmitted.clone();
        let lost = self.assert_connections_lived(times)?;
        assert!(lost.is_empty(), "{lost:#?}");
        assert_eq!(retransmitted(&hosts(cluster)?)?, before, "segments were sent again");
        Ok(())
    }

    /// Ends the traffic, which went on while agents were replaced so many `times`. Each connection lived; returns the requests
    /// that were lost.
    pub(super) fn assert_connections_lived(self, times: usize) -> Result<Vec<String>> {
        for (what, ping) in self.pings {
            let report = ping.stop()?;
            assert!(report.failures.is_empty() && report.sent == report.echoed, "{what}: {report:?}");
            assert!(report.sent > times as u64, "{what}: {report:?}");
        }
        let mut lost = Vec::new();
        for (what, requests) in self.requests {
            let outcomes = requests.stop()?;
            assert!(outcomes.len() > times, "{what}: {} requests only", outcomes.len());
            let failures = outcomes.iter().enumerate().filter_map(|(i, outcome)| Some((i, outcome.as_ref().err()?)));
            lost.extend(failures.map(|(i, failure)| format!("{what}, {i} of {}: {failure:?}", outcomes.len())));
        }
        Ok(lost)
    }
}

/// Who asks the Service, and where: its ports http, dns and echo.
fn ways(cluster: &Cluster) -> Result<Vec<(&Host, [SocketAddr; 3])>> {
    let mut ways = Vec::new();
    for family in Family::BOTH {
        let cluster_ip = |port| address(cluster, family, port);
        let inside = [cluster_ip(80)?, cluster_ip(53)?, cluster_ip(ECHO)?];
        ways.push((&**cluster.pod("asker")?, inside));
        ways.push((&**cluster.lab().node("node1")?, inside));
        for node in cluster.lab().nodes() {
            let ip = node.addresses().of(family);
            ways.push((cluster.lab().client(), [30080, 30053, ECHO_NODE_PORT].map(|port| SocketAddr::new(ip, port))));
        }
    }
    Ok(ways)
}

/// Everyone who sends TCP, but for node1: the lab asks its agent for readiness while one dies and another starts, and some
/// of those SYNs have to be sent again.
fn hosts(cluster: &Cluster) -> Result<[&Host; 4]> {
    let pod = |name| cluster.pod(name).map(|pod| &**pod);
    Ok([pod("asker")?, pod("web-1")?, pod("web-2")?, cluster.lab().client()])
}
