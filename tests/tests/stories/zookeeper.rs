//! A `StatefulSet`: pods that know each other by a headless Service, and a Service for clients.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use anyhow::Result;
use lab::traffic::Ask;
use lab::{Cluster, EndpointSet, Family, Host};

use crate::load::Load;
use crate::protocol::{Protocol, pods};
use crate::story::everywhere;

const ENSEMBLE: [&str; 3] = ["zk-0", "zk-1", "zk-2"];
const CLIENTS: [&str; 2] = ["client-node1", "client-node2"];
/// Ports of the headless Service: between servers, and for the election of a leader.
const BETWEEN_SERVERS: [u16; 2] = [2888, 3888];
/// Requests of which each goes to one of three endpoints: one of them gets none once in a million runs.
const MANY: u32 = 40;

#[test]
fn headless_service_is_left_alone_and_its_pods_reach_each_other() -> Result<()> {
    everywhere("zookeeper", |cluster| {
        for node in cluster.lab().nodes() {
            assert!(
                node.backends("zk-hs", EndpointSet::Cluster)?.is_empty(),
                "nothing of a headless Service is in the tables"
            );
        }
        for (from, to) in ENSEMBLE.into_iter().flat_map(|from| ENSEMBLE.map(|to| (from, to))) {
            let (from, to) = (cluster.pod(from)?, cluster.pod(to)?);
            for (family, port) in Family::BOTH.into_iter().flat_map(|family| BETWEEN_SERVERS.map(|port| (family, port)))
            {
                let answer = from.http_get(SocketAddr::new(to.addresses().of(family), port))?;
                assert_eq!((answer.pod.as_str(), answer.client.ip()), (to.name(), from.addresses().of(family)));
            }
        }
        Ok(())
    })
}

#[test]
fn clients_reach_every_server() -> Result<()> {
    everywhere("zookeeper", |cluster| {
        for family in Family::BOTH {
            for client in CLIENTS {
                assert_eq!(
                    answering(cluster, cluster.pod(client)?, family)?,
                    BTreeSet::from(ENSEMBLE.map(str::to_owned))
                );
            }
        }
        Ok(())
    })
}

#[test]
fn unready_server_keeps_its_sessions_and_gets_no_new_ones_until_it_is_ready_again() -> Result<()> {
    everywhere("zookeeper", |cluster| {
        let mut sessions = Load::default();
        for (client, family) in CLIENTS.into_iter().flat_map(|client| Family::BOTH.map(|family| (client, family))) {
            let ask = Ask::new(cluster.cluster_ip("zk-cs", family)?).one_socket();
            sessions.http(cluster.pod(client)?, &ask)?;
        }
        let unready = sessions.first_to_answer()?;
        let others: Vec<_> = ENSEMBLE.into_iter().filter(|server| *server != unready).collect();
        for (ready, servers) in [(false, others.as_slice()), (true, &ENSEMBLE)] {
            cluster.lab().manifests().set_ready(&unready, ready)?;
            cluster.wait_endpoints("zk-cs", servers)?;
            each_client_sees(cluster, servers)?;
        }
        for answers in sessions.all_answered()? {
            let ports: BTreeSet<_> = answers.iter().map(|answer| answer.sockname.port()).collect();
            assert_eq!(
                (pods(&answers).len(), ports.len()),
                (1, 1),
                "a session stays where it is: {:?}",
                pods(&answers)
            );
        }
        Ok(())
    })
}

fn each_client_sees(cluster: &Cluster, servers: &[&str]) -> Result<()> {
    let expected: BTreeSet<_> = servers.iter().map(|&server| server.to_owned()).collect();
    for (client, family) in CLIENTS.into_iter().flat_map(|client| Family::BOTH.map(|family| (client, family))) {
        assert_eq!(answering(cluster, cluster.pod(client)?, family)?, expected, "{client} {family}");
    }
    Ok(())
}

/// The servers that many new connections of a client reach.
fn answering(cluster: &Cluster, client: &Host, family: Family) -> Result<BTreeSet<String>> {
    let answers = Protocol::Tcp.answers(client, &Ask::new(cluster.cluster_ip("zk-cs", family)?).times(MANY))?;
    Ok(pods(&answers).into_iter().map(ToOwned::to_owned).collect())
}
