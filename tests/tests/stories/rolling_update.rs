//! A rolling update: ten pods are replaced, one by one, under load.

use anyhow::Result;
use lab::manifests::build::{HTTP, client, file, http, on_nodes, pod, service};
use lab::manifests::{Condition, Endpoint, Slices};
use lab::traffic::Ask;
use lab::{Cluster, Family, Host, Lab};

use crate::load::Load;
use crate::replace::end_when_drained;
use crate::story;

/// Pods of the Deployment.
const REPLICAS: u8 = 10;
/// Both have the same pods; the second has `externalTrafficPolicy: Local`.
const SERVICES: [&str; 2] = ["web", "web-local"];
/// Before and after.
const REVISIONS: [u8; 2] = [1, 2];

#[test]
fn rolling_update_of_ten_pods_under_load_loses_no_request() -> Result<()> {
    story::on_nodes(2, prepare, |cluster| {
        let load = load(cluster)?;
        let mut deployment = Deployment::new();
        for number in 0..REPLICAS {
            deployment.replace(cluster, number)?;
        }
        for answers in load.all_answered()? {
            let last = answers.last().map(|answer| answer.pod.as_str()).unwrap_or_default();
            assert!(last.starts_with("web-2-"), "the new pods have taken over: {last} answered last");
        }
        Ok(())
    })
}

fn prepare(lab: &Lab) -> Result<()> {
    let [web, mut local] = [("web", 10, 30_080), ("web-local", 11, 30_081)]
        .map(|(name, number, node_port)| on_nodes(service(name, number, &http()), &[node_port]));
    local["spec"]["externalTrafficPolicy"] = "Local".into();
    let deployment = Deployment::new();
    let mut objects = vec![web, local, client("asker", 1, 250)];
    objects.extend((0..REPLICAS).map(|number| Replica { revision: REVISIONS[0], number }.manifest()));
    lab.manifests().write("cluster.yaml", &file(&objects))?;
    deployment.publish(lab)
}

/// Inside and outside, each with a connection for each request and with one that it keeps, both families.
fn load(cluster: &Cluster) -> Result<Load> {
    let (pod, node): (&Host, &Host) = (cluster.pod("asker")?, cluster.lab().node("node2")?);
    let outside = cluster.lab().client();
    let clients = [
        (pod, cluster.cluster_ip("web", Family::V4)?),
        (pod, cluster.cluster_ip("web", Family::V6)?),
        (node, cluster.cluster_ip("web", Family::V4)?),
        (outside, cluster.node_port("node1", "web", Family::V6)?),
        (outside, cluster.node_port("node1", "web-local", Family::V4)?),
        (outside, cluster.node_port("node2", "web-local", Family::V6)?),
    ];
    let mut load = Load::default();
    for (host, to) in clients {
        load.http(host, &Ask::new(to))?;
        load.http(host, &Ask::new(to).one_socket())?;
    }
    Ok(load)
}

/// One pod of the Deployment.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Replica {
    revision: u8,
    number: u8,
}

impl Replica {
    fn name(self) -> String {
        format!("web-{}-{}", self.revision, self.number)
    }

    /// The nodes take turns.
    const fn node(self) -> u8 {
        1 + self.number % 2
    }

    const fn index(self) -> u8 {
        self.revision * 100 + self.number
    }

    fn manifest(self) -> serde_json::Value {
        pod(&self.name(), "web", self.node(), self.index())
    }
}

/// Its pods, and what the slices say of each.
struct Deployment(Vec<(Replica, Condition)>);

impl Deployment {
    fn new() -> Self {
        let replica = |number| (Replica { revision: REVISIONS[0], number }, Condition::Ready);
        Self((0..REPLICAS).map(replica).collect())
    }

    /// As Kubernetes does: a new pod that is ready first, then the old one terminates, serving still, and is gone when its
    /// grace period is over.
    fn replace(&mut self, cluster: &mut Cluster, number: u8) -> Result<()> {
        let [old, new] = REVISIONS.map(|revision| Replica { revision, number });
        let manifests = cluster.lab().manifests();
        manifests.write(&format!("{}.yaml", new.name()), &file(&[new.manifest()]))?;
        cluster.start_pod(&new.name())?;
        self.0.push((new, Condition::Ready));
        self.publish(cluster.lab())?;

        for (_, condition) in self.0.iter_mut().filter(|(replica, _)| *replica == old) {
            *condition = Condition::Terminating;
        }
        self.publish(cluster.lab())?;
        cluster.drain_pod(&old.name())?;
        self.wait_until_served(cluster)?;

        end_when_drained(cluster, &old.name())?;
        self.0.retain(|(replica, _)| *replica != old);
        self.publish(cluster.lab())?;
        Ok(cluster.lab().manifests().delete("Pod", &old.name())?)
    }

    fn publish(&self, lab: &Lab) -> Result<()> {
        let endpoint =
            |(replica, condition): &(Replica, Condition)| Endpoint::new(replica.node(), replica.index(), *condition);
        let endpoints: Vec<_> = self.0.iter().map(endpoint).collect();
        for service in SERVICES {
            let ports = vec![("http", "TCP", HTTP)];
            let slices = Slices { service: service.into(), ports, endpoints: endpoints.clone() };
            lab.manifests().write(&format!("{service}-slices.yaml"), &slices.to_file())?;
        }
        Ok(())
    }

    fn wait_until_served(&self, cluster: &Cluster) -> Result<()> {
        let ready = self.0.iter().filter(|(_, condition)| *condition == Condition::Ready);
        let names: Vec<_> = ready.map(|(replica, _)| replica.name()).collect();
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        Ok(SERVICES.iter().try_for_each(|service| cluster.wait_endpoints(service, &names))?)
    }
}
