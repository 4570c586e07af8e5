//! Three nodes, a web server on two of them, and a Service for each traffic policy.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Result, ensure};
use lab::manifests::build::{HTTP, UDP, client, file, on_nodes, pod, service};
use lab::manifests::{Condition, Endpoint, Slices};
use lab::traffic::Ask;
use lab::{Cluster, EndpointSet, Family, Host, Lab, eventually};
use serde_json::json;

use crate::protocol::{Protocol, pods};
use crate::story;

/// `externalTrafficPolicy` and `internalTrafficPolicy` are Cluster.
pub(super) const CLUSTER: &str = "cluster";
/// `externalTrafficPolicy` is Local.
pub(super) const EXTERNAL_LOCAL: &str = "external-local";
/// `internalTrafficPolicy` is Local.
pub(super) const INTERNAL_LOCAL: &str = "internal-local";
pub(super) const SERVICES: [&str; 3] = [CLUSTER, EXTERNAL_LOCAL, INTERNAL_LOCAL];

/// The web servers, on node1 and on node2. Node3 has none.
pub(super) const SERVERS: [&str; 2] = ["web-1", "web-2"];
/// The last number of a web server's addresses.
const INDEX: u8 = 10;

/// Requests of which each goes to one of two endpoints: one endpoint gets none of them once in 2^31 runs.
const MANY: u32 = 32;
/// How long a client waits for an answer that must not come.
const SILENCE: Duration = Duration::from_millis(200);

/// Tells a story on this cluster in every configuration.
pub(super) fn tell(story: impl Fn(&Cluster) -> Result<()>) -> Result<()> {
    story::on_nodes(3, prepare, |cluster| story(cluster))
}

fn prepare(lab: &Lab) -> Result<()> {
    let mut objects = vec![pod("web-1", "web", 1, INDEX), pod("web-2", "web", 2, INDEX)];
    objects.extend((1..=3).map(|node| client(&format!("asker-{node}"), node, 20)));
    for (number, name) in (10..).zip(SERVICES) {
        let ports = json!([
            {"name": "http", "port": 80, "targetPort": HTTP},
            {"name": "dns", "port": 80, "protocol": "UDP", "targetPort": UDP},
        ]);
        let mut service = on_nodes(service(name, number, &ports), &[30_000 + u16::from(number); 2]);
        let policy = |is_local| if is_local { "Local" } else { "Cluster" };
        service["spec"]["type"] = "LoadBalancer".into();
        service["spec"]["externalTrafficPolicy"] = policy(name == EXTERNAL_LOCAL).into();
        service["spec"]["internalTrafficPolicy"] = policy(name == INTERNAL_LOCAL).into();
        service["spec"]["externalIPs"] = json!([format!("203.0.113.{number}"), format!("2001:db8:113::{number}")]);
        service["status"]["loadBalancer"]["ingress"] =
            json!([{"ip": format!("198.18.0.{number}")}, {"ip": format!("2001:db8:198::{number}")}]);
        objects.push(service);
    }
    lab.manifests().write("cluster.yaml", &file(&objects))?;
    publish(lab, &endpoints([Condition::Ready; 2]))
}

/// The endpoints of every Service, by what their slices say of each server.
pub(super) fn endpoints(conditions: [Condition; 2]) -> Vec<Endpoint> {
    (1..).zip(conditions).map(|(node, condition)| Endpoint::new(node, INDEX, condition)).collect()
}

/// Writes the slices of every Service.
pub(super) fn publish(lab: &Lab, endpoints: &[Endpoint]) -> Result<()> {
    for service in SERVICES {
        let ports = vec![("http", "TCP", HTTP), ("dns", "UDP", UDP)];
        let slices = Slices { service: service.into(), ports, endpoints: endpoints.to_vec() };
        lab.manifests().write(&format!("{service}-slices.yaml"), &slices.to_file())?;
    }
    Ok(())
}

/// Waits until a set in a node's tables is of these servers.
pub(super) fn wait_for(cluster: &Cluster, node: &str, set: EndpointSet, servers: &[&str]) -> Result<()> {
    let node = cluster.lab().node(node)?;
    let mut expected = BTreeSet::new();
    for server in servers {
        for address in cluster.pod(server)?.addresses().iter() {
            expected.extend([HTTP, UDP].map(|port| SocketAddr::new(address, port)));
        }
    }
    for service in SERVICES {
        let backends = || node.backends(service, set);
        eventually(&format!("{set:?} set of {service} on {}", node.name()), &expected, backends)?;
    }
    Ok(())
}

/// Each protocol and family.
pub(super) fn each(story: impl Fn(Protocol, Family) -> Result<()>) -> Result<()> {
    Protocol::with_families().try_for_each(|(protocol, family)| story(protocol, family))
}

/// Each family, for TCP alone: where endpoints change, a datagram from a port that was used before may go where the
/// earlier one went, and rightly (7.6).
pub(super) fn each_family(story: impl Fn(Family) -> Result<()>) -> Result<()> {
    Family::BOTH.into_iter().try_for_each(story)
}

/// What many requests come to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Outcome {
    /// All are answered, and by these servers together.
    Answered(BTreeSet<String>),
    /// None is answered, in silence.
    Dropped,
    /// All are refused at once.
    Refused,
}

impl Outcome {
    pub(super) fn answered_by(servers: &[&str]) -> Self {
        Self::Answered(servers.iter().map(|&server| server.to_owned()).collect())
    }

    /// What requests of a host come to.
    pub(super) fn of(host: &Host, protocol: Protocol, to: SocketAddr) -> Result<Self> {
        match protocol.error(host, &Ask::new(to).timeout(SILENCE))?.as_str() {
            "timeout" => Ok(Self::Dropped),
            "ECONNREFUSED" => Ok(Self::Refused),
            other => {
                ensure!(other.starts_with("an answer"), "{host}: {other} of {to} over {protocol:?}");
                let answers = protocol.answers(host, &Ask::new(to).times(MANY))?;
                Ok(Self::answered_by(&pods(&answers).into_iter().collect::<Vec<_>>()))
            }
        }
    }
}
