//! A lab with the pods that its manifests describe, and an agent on each node: what most suites start from.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use rustix::process::Signal;

use crate::agent::{Agent, AgentOptions};
use crate::cli::EndpointSet;
use crate::error::{Error, Result};
use crate::family::Family;
use crate::lab::Lab;
use crate::manifests::PodManifest;
use crate::pod::Pod;
use crate::process::Process;
use crate::traffic::Serve;
use crate::wait::eventually;

/// A running cluster. Fields are in the order in which they end.
pub struct Cluster {
    agents: Vec<Agent>,
    pods: Vec<Running>,
    lab: Lab,
}

/// A pod, and its containers' servers if it has any.
struct Running {
    servers: Option<Process>,
    pod: Pod,
}

impl Cluster {
    /// Starts the Pods of the lab's manifests, each with the addresses its status has and servers on its containers'
    /// ports, then an agent on each node; returns when all are ready.
    pub fn start(lab: Lab, agents: impl Into<AgentOptions>) -> Result<Self> {
        let mut cluster = Self { agents: Vec::new(), pods: Vec::new(), lab };
        cluster.start_pods()?;
        cluster.start_agents(&agents.into())?;
        Ok(cluster)
    }

    /// Starts the Pods only, for what has to be so before the agents start.
    pub fn without_agents(lab: Lab) -> Result<Self> {
        let mut cluster = Self { agents: Vec::new(), pods: Vec::new(), lab };
        cluster.start_pods()?;
        Ok(cluster)
    }

    /// Starts an agent on each node, all at once, and waits for them.
    pub fn start_agents(&mut self, options: &AgentOptions) -> Result<()> {
        for node in self.lab.nodes() {
            self.agents.push(Agent::launch(&self.lab, node, options)?);
        }
        self.agents.iter_mut().try_for_each(Agent::wait_ready)
    }

    /// The lab.
    #[must_use]
    pub const fn lab(&self) -> &Lab {
        &self.lab
    }

    /// The agents, `node1`'s first.
    pub fn agents(&mut self) -> &mut [Agent] {
        &mut self.agents
    }

    /// A pod by its name.
    pub fn pod(&self, name: &str) -> Result<&Pod> {
        Ok(&self.pods[self.position(name)?].pod)
    }

    /// Starts a Pod that has come to the manifests, as its kubelet would; whether it is ready is for the manifest to say.
    pub fn start_pod(&mut self, name: &str) -> Result<()> {
        let manifest = self.lab.manifests().pod(name)?;
        self.run_pod(&manifest)
    }

    /// Tells a pod's servers to end, as its kubelet does when the Pod is deleted: they answer on, and ask their clients to
    /// close.
    pub fn drain_pod(&mut self, name: &str) -> Result<()> {
        let position = self.position(name)?;
        self.pods[position].servers.as_mut().map_or(Ok(()), |servers| servers.signal(Signal::TERM))
    }

    /// Ends a pod at once: its servers, its connections and its interface. Its manifest stays.
    pub fn remove_pod(&mut self, name: &str) -> Result<()> {
        let Running { servers, pod } = self.pods.remove(self.position(name)?);
        drop(servers);
        pod.remove()
    }

    /// Waits until a Service's Cluster set is these pods and no others, in the tables of every node.
    pub fn wait_endpoints(&self, service: &str, pods: &[&str]) -> Result<()> {
        let addresses = |name: &&str| Ok(self.pod(name)?.addresses().iter().collect::<Vec<_>>());
        let expected: Vec<Vec<IpAddr>> = pods.iter().map(addresses).collect::<Result<_>>()?;
        let expected: BTreeSet<IpAddr> = expected.into_iter().flatten().collect();
        for node in self.lab.nodes() {
            let ips = || {
                Ok(node.backends(service, EndpointSet::Cluster)?.iter().map(SocketAddr::ip).collect::<BTreeSet<_>>())
            };
            eventually::<_, Error>(&format!("endpoints of {service} on {node}", node = node.name()), &expected, ips)?;
        }
        Ok(())
    }

    /// Cluster address and first port of a Service.
    pub fn cluster_ip(&self, service: &str, family: Family) -> Result<SocketAddr> {
        let found = self.lab.manifests().service(service)?;
        found.cluster_ip(family).ok_or_else(|| Error::Unknown {
            what: "cluster address",
            name: format!("{service} {family}"),
            have: "are others in spec.clusterIPs".into(),
        })
    }

    /// The load balancer's address for a Service, and the Service's first port.
    pub fn load_balancer(&self, service: &str, family: Family) -> Result<SocketAddr> {
        let found = self.lab.manifests().service(service)?;
        found.load_balancer(family).ok_or_else(|| Error::Unknown {
            what: "load balancer address",
            name: format!("{service} {family}"),
            have: "are others in status.loadBalancer.ingress".into(),
        })
    }

    /// A node's address and a Service's NodePort on it.
    pub fn node_port(&self, node: &str, service: &str, family: Family) -> Result<SocketAddr> {
        let found = self.lab.manifests().service(service)?;
        let port = found.node_port().ok_or_else(|| Error::Unknown {
            what: "nodePort",
            name: service.into(),
            have: "is none in its first port".into(),
        })?;
        Ok(SocketAddr::new(self.lab.node(node)?.addresses().of(family), port))
    }

    /// Leaves all of it running after this process.
    pub fn keep(mut self) -> Result<()> {
        self.lab.keep()?;
        self.agents.iter_mut().for_each(Agent::leave);
        self.pods.iter_mut().filter_map(|pod| pod.servers.as_mut()).for_each(Process::leave);
        Ok(())
    }

    fn start_pods(&mut self) -> Result<()> {
        self.lab.manifests().pods()?.iter().try_for_each(|manifest| self.run_pod(manifest))
    }

    fn run_pod(&mut self, manifest: &PodManifest) -> Result<()> {
        let addresses = manifest.addresses().ok_or_else(|| Error::Manifest {
            file: self.lab.manifests().dir().into(),
            object: format!("Pod {}", manifest.name()),
            problem: "status.podIPs needs an IPv4 and an IPv6 address in the lab".into(),
        })?;
        let pod = self.lab.node(manifest.node())?.add_pod_at(manifest.name(), addresses)?;
        let (http, udp) = (manifest.tcp_ports(), manifest.udp_ports());
        let servers = if http.is_empty() && udp.is_empty() {
            None
        } else {
            Some(pod.serve(&Serve { name: manifest.name().into(), http, udp, echo: Vec::new() })?)
        };
        self.pods.push(Running { servers, pod });
        Ok(())
    }

    fn position(&self, pod: &str) -> Result<usize> {
        let mut names = self.pods.iter().map(|running| running.pod.name());
        names.position(|name| name == pod).ok_or_else(|| {
            let names: Vec<_> = self.pods.iter().map(|running| running.pod.name()).collect();
            Error::Unknown { what: "pod", name: pod.into(), have: format!("are {}", names.join(", ")) }
        })
    }
}
