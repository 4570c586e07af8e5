//! A client uses a port again as soon as its connection has ended: the same addresses and ports are another connection.

use std::net::SocketAddr;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use lab::traffic::{Ask, Ending};
use lab::{Cluster, Family};

use crate::client;
use crate::configuration::everywhere;
use crate::protocol::{Protocol, pods};

/// The port that every client uses again and again.
const PORT: u16 = 20_000;
/// How long a change of endpoints or a request may take on a busy machine.
const LIMIT: Duration = Duration::from_secs(10);

#[test]
fn a_port_used_again_reaches_the_endpoint_that_serves_now() -> Result<()> {
    everywhere(|cluster| {
        for ending in [Ending::Server, Ending::Reset] {
            for (serves, rests) in [("web-1", "web-2"), ("web-2", "web-1")] {
                leave_to(cluster, serves, rests)?;
                everybody_is_answered_by(cluster, serves, ending)?;
            }
        }
        Ok(())
    })
}

fn everybody_is_answered_by(cluster: &Cluster, pod: &str, ending: Ending) -> Result<()> {
    for (protocol, family) in Protocol::with_families() {
        for client in client::everybody(cluster)? {
            for to in client::all_ways(cluster, &client, "web", family)? {
                let any: SocketAddr = if to.is_ipv4() { ([0; 4], PORT).into() } else { ([0_u16; 8], PORT).into() };
                let answers =
                    protocol.answers(client.host, &Ask::new(to).from(any).times(2).ended_by(ending).timeout(LIMIT))?;
                assert_eq!(Vec::from_iter(pods(&answers)), [pod], "{} {to} {protocol:?} {ending:?}", client.host);
            }
        }
    }
    Ok(())
}

/// Makes one pod ready and the other not, at no time both not, and waits until both nodes know.
fn leave_to(cluster: &Cluster, serves: &str, rests: &str) -> Result<()> {
    let manifests = cluster.lab().manifests();
    for (pod, ready) in [(serves, true), (rests, false)] {
        manifests.set_ready(pod, ready)?;
        let address = cluster.pod(pod)?.addresses().of(Family::V4).to_string();
        for node in cluster.lab().nodes() {
            let started = Instant::now();
            while String::from_utf8(node.sluice(&["get", "endpoints", "web"])?.stdout)?.contains(&address) != ready {
                ensure!(started.elapsed() < LIMIT, "{node:?} doesn't know that {pod} is ready: {ready}");
                sleep(Duration::from_millis(20));
            }
        }
    }
    Ok(())
}
