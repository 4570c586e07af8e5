//! Endpoints that terminate are the last resort, of the cluster and of a node each for itself (3.3 to 3.6), and what
//! becomes of requests where there is none (4.1 to 4.5).

use anyhow::Result;
use lab::manifests::Condition::{self, Ending, Ready, Terminating, Unready};
use lab::{EndpointSet, Host};

use super::cluster::{
    CLUSTER, EXTERNAL_LOCAL, INTERNAL_LOCAL, Outcome, each_family, endpoints, publish, tell, wait_for,
};
use crate::protocol::Protocol;

/// What the slices say of the servers on node1 and node2 -> who serves the cluster, and who serves by node1 alone.
const TABLE: [([Condition; 2], &[&str], &[&str]); 8] = [
    ([Ready, Ready], &["web-1", "web-2"], &["web-1"]),
    ([Terminating, Ready], &["web-2"], &["web-1"]),
    ([Unready, Ready], &["web-2"], &[]),
    ([Unready, Terminating], &["web-2"], &[]),
    ([Terminating, Unready], &["web-1"], &["web-1"]),
    ([Terminating, Terminating], &["web-1", "web-2"], &["web-1"]),
    ([Ending, Ready], &["web-2"], &[]),
    ([Ending, Unready], &[], &[]),
];

#[test]
fn terminating_endpoints_serve_where_no_other_does_and_nobody_is_dropped_or_refused() -> Result<()> {
    tell(|cluster| {
        for (conditions, all, local) in TABLE {
            publish(cluster.lab(), &endpoints(conditions))?;
            wait_for(cluster, "node1", EndpointSet::Cluster, all)?;
            wait_for(cluster, "node1", EndpointSet::Local, local)?;
            // Refused where there is no endpoint at all, dropped where there are some, on other nodes (4.3 to 4.5).
            let of = |servers: &[&str]| match (servers, all) {
                (_, []) => Outcome::Refused,
                ([], _) => Outcome::Dropped,
                _ => Outcome::answered_by(servers),
            };
            let (pod, node): (&Host, &Host) = (cluster.pod("asker-1")?, cluster.lab().node("node1")?);
            let outside = cluster.lab().client();
            each_family(|family| {
                let cluster_ip = |service| cluster.cluster_ip(service, family);
                let node_port = |service| cluster.node_port("node1", service, family);
                for (host, to, servers) in [
                    (pod, cluster_ip(CLUSTER)?, all),
                    (pod, cluster_ip(INTERNAL_LOCAL)?, local),
                    (node, cluster_ip(INTERNAL_LOCAL)?, local),
                    (pod, node_port(EXTERNAL_LOCAL)?, all),
                    (outside, node_port(CLUSTER)?, all),
                    (outside, node_port(EXTERNAL_LOCAL)?, local),
                ] {
                    let outcome = Outcome::of(host, Protocol::Tcp, to)?;
                    assert_eq!(outcome, of(servers), "{conditions:?}: {host} to {to}");
                }
                Ok(())
            })?;
        }
        Ok(())
    })
}
