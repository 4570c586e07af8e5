//! Who asks what: pods ask cluster addresses, the outside client asks each NodePort.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::expect::{DROPPED, expected};
use super::row::{Row, Seen};
use crate::cluster::Cluster;
use crate::error::Result;
use crate::family::Family;
use crate::host::Host;
use crate::manifests::ServiceManifest;
use crate::traffic::Ask;

/// Requests of a row: enough that each of two endpoints is chosen at least once but for one time in 2^31.
const REQUESTS: u32 = 32;
/// How long a client waits for a node that has to drop its request.
const DROP_TIMEOUT: Duration = Duration::from_millis(500);

/// One client, one address of one Service.
pub(super) struct Case {
    pub(super) service: ServiceManifest,
    pub(super) family: Family,
    pub(super) client: Host,
    /// The client's own address.
    pub(super) source: IpAddr,
    /// Name of the node whose NodePort is asked; none for the cluster address.
    pub(super) node: Option<String>,
    pub(super) to: SocketAddr,
}

impl Case {
    /// The cases of a cluster: its first client pod on each node asks Services at their cluster address, the client
    /// outside asks those that have a NodePort on each node.
    pub(super) fn all(cluster: &Cluster) -> Result<Vec<Self>> {
        let mut cases = Vec::new();
        for service in cluster.lab().manifests().services()? {
            for family in Family::BOTH {
                if service.node_port().is_some() {
                    node_ports(cluster, &service, family, &mut cases)?;
                } else {
                    cluster_ip(cluster, &service, family, &mut cases)?;
                }
            }
        }
        Ok(cases)
    }

    /// Sends the requests, and judges what came of them by the manifests as they are now.
    pub(super) fn check(&self, cluster: &Cluster, step: &str) -> Result<Row> {
        let manifests = cluster.lab().manifests();
        let expected = expected(self, &manifests.pods()?, cluster)?;
        let ask = Ask::new(self.to);
        let ask = if expected.is_empty() { ask.timeout(DROP_TIMEOUT) } else { ask.times(REQUESTS) };
        let (mut answers, mut errors) = (BTreeSet::new(), BTreeSet::new());
        for outcome in self.client.http_each(&ask)? {
            match outcome {
                Ok(answer) => drop(answers.insert(Seen { pod: answer.pod, client: answer.client.ip() })),
                Err(failure) => drop(errors.insert(failure.error)),
            }
        }
        let errors_expected = if expected.is_empty() { BTreeSet::from([DROPPED.to_owned()]) } else { BTreeSet::new() };
        let pass = answers == expected && errors == errors_expected;
        Ok(Row {
            step: step.to_owned(),
            service: self.service.name().to_owned(),
            family: self.family,
            from: self.client.name().to_owned(),
            to: self.to,
            answers,
            errors,
            expected,
            pass,
        })
    }
}

fn node_ports(cluster: &Cluster, service: &ServiceManifest, family: Family, cases: &mut Vec<Case>) -> Result<()> {
    for node in cluster.lab().nodes() {
        cases.push(Case {
            service: service.clone(),
            family,
            client: cluster.lab().client().clone(),
            source: cluster.lab().client_addresses().of(family),
            node: Some(node.name().to_owned()),
            to: cluster.node_port(node.name(), service.name(), family)?,
        });
    }
    Ok(())
}

fn cluster_ip(cluster: &Cluster, service: &ServiceManifest, family: Family, cases: &mut Vec<Case>) -> Result<()> {
    let to = cluster.cluster_ip(service.name(), family)?;
    for manifest in cluster.lab().manifests().pods()?.iter().filter(|pod| pod.tcp_ports().is_empty()) {
        let pod = cluster.pod(manifest.name())?;
        let source = pod.addresses().of(family);
        cases.push(Case { service: service.clone(), family, client: (**pod).clone(), source, node: None, to });
    }
    Ok(())
}
