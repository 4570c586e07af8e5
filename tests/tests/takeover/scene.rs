//! Two nodes that a kube-proxy serves: a Service with its endpoint on the first, and one with its on the second.

use std::net::SocketAddr;

use anyhow::{Result, ensure};
use lab::kube_proxy::{self, ServiceRules};
use lab::manifests::build;
use lab::{Attachment, Cluster, Family, Lab, Node, topology};

const SERVICES: [(&str, &str, u8, u16, u8); 2] =
    [("here", "default/here:http", 10, 30_080, 1), ("there", "default/there:http", 11, 30_081, 2)];

/// The cluster without rules and agents.
pub(crate) fn cluster(attachment: Attachment) -> Result<Cluster> {
    let lab = Lab::builder().attachment(attachment).build()?;
    let mut objects = vec![build::client("asker", 1, 20)];
    for (name, _, number, node_port, node) in SERVICES {
        objects.push(build::pod(&format!("{name}-1"), name, node, 10));
        objects.push(build::on_nodes(build::service(name, number, &build::http()), &[node_port]));
    }
    lab.manifests().write("cluster.yaml", &build::file(&objects))?;
    Ok(Cluster::without_agents(lab)?)
}

/// The cluster with the rules, and no agent.
pub(crate) fn kube_proxys(attachment: Attachment) -> Result<Cluster> {
    let cluster = cluster(attachment)?;
    for node in cluster.lab().nodes() {
        for family in Family::BOTH {
            kube_proxy::restore(node, family, &kube_proxy::rules_of_others())?;
        }
        start_kube_proxy(&cluster, node)?;
    }
    Ok(cluster)
}

/// Gives a node the rules that a kube-proxy writes when it starts.
pub(crate) fn start_kube_proxy(cluster: &Cluster, node: &Node) -> Result<()> {
    for family in Family::BOTH {
        let cidr = match family {
            Family::V4 => "10.244.0.0/16",
            Family::V6 => "fd00:10:244::/48",
        };
        let service = |(name, id, _, node_port, of): (&str, &'static str, u8, u16, u8)| -> Result<ServiceRules> {
            Ok(ServiceRules {
                name: id,
                cluster_ip: cluster.cluster_ip(name, family)?,
                node_port,
                endpoints: vec![SocketAddr::new(topology::pod(of, 10).of(family), build::HTTP)],
            })
        };
        let services: Vec<_> = SERVICES.into_iter().map(service).collect::<Result<_>>()?;
        kube_proxy::restore(node, family, &kube_proxy::rules(cidr, &services))?;
    }
    Ok(())
}

/// What a command that succeeds prints.
pub(crate) fn sluice(node: &Node, arguments: &[&str]) -> Result<String> {
    let output = node.sluice(arguments)?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "sluice {} on {}: {errors}", arguments.join(" "), node.name());
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
