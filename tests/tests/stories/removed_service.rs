//! What becomes of connections to a Service that is removed while its endpoints live on: those that were made run on, as
//! with kube-proxy; datagrams, of which each asks anew, are nobody's from then on.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::Result;
use lab::traffic::Ask;
use lab::{Cluster, Family, Host, eventually};

use crate::load::Load;
use crate::protocol::{Protocol, pods};
use crate::story::everywhere;

/// How long a client waits for an answer that must not come.
const SILENCE: Duration = Duration::from_millis(300);

fn clients(cluster: &Cluster) -> Result<Vec<(&Host, Family)>> {
    let hosts: [&Host; 3] = [cluster.pod("client-node1")?, cluster.pod("client-node2")?, cluster.lab().node("node1")?];
    Ok(hosts.into_iter().flat_map(|host| Family::BOTH.map(|family| (host, family))).collect())
}

#[test]
fn connections_run_on_and_datagrams_are_nobodys() -> Result<()> {
    everywhere("dns", |cluster| {
        let mut connections = Load::default();
        for (client, family) in clients(cluster)? {
            connections.http(client, &Ask::new(cluster.cluster_ip("kube-dns", family)?).one_socket())?;
        }
        connections.first_to_answer()?;
        let asks: Vec<_> = clients(cluster)?
            .into_iter()
            .map(|(client, family)| Ok((client, Ask::new(cluster.cluster_ip("kube-dns", family)?).timeout(SILENCE))))
            .collect::<Result<_>>()?;
        for (client, ask) in &asks {
            Protocol::Udp.answers(client, ask)?;
        }

        cluster.lab().manifests().delete("Service", "kube-dns")?;
        for node in cluster.lab().nodes() {
            let is_served =
                || Ok(String::from_utf8_lossy(&node.sluice(&["get", "services"])?.stdout).contains("kube-dns"));
            eventually::<_, lab::Error>(&format!("kube-dns on {}", node.name()), &false, is_served)?;
        }
        let before = connections.requests()?;
        for (client, ask) in &asks {
            for protocol in [Protocol::Udp, Protocol::Tcp] {
                let outcome = protocol.error(client, ask)?;
                assert!(!outcome.starts_with("an answer"), "{client} {protocol:?}: {outcome}");
            }
            let outcome = Protocol::Udp.error(client, &ask.clone().unconnected())?;
            assert!(!outcome.starts_with("an answer"), "{client}: {outcome}");
        }
        let after = connections.requests()?;
        assert!(before.iter().zip(&after).all(|(before, after)| after > before), "{before:?} {after:?}");
        for answers in connections.all_answered()? {
            let ports: BTreeSet<_> = answers.iter().map(|answer| answer.sockname.port()).collect();
            assert_eq!((pods(&answers).len(), ports.len()), (1, 1));
        }
        Ok(())
    })
}
