//! A lab with the pods that its manifests describe, and an agent on each node: what most suites start from.

use std::net::SocketAddr;

use crate::agent::{Agent, AgentOptions};
use crate::error::{Error, Result};
use crate::family::Family;
use crate::lab::Lab;
use crate::manifests::PodManifest;
use crate::pod::Pod;
use crate::process::Process;
use crate::traffic::Serve;

/// A running cluster. Fields are in the order in which they end.
pub struct Cluster {
    agents: Vec<Agent>,
    servers: Vec<Process>,
    pods: Vec<Pod>,
    lab: Lab,
}

impl Cluster {
    /// Starts the Pods of the lab's manifests, each with the addresses its status has and servers on its containers'
    /// ports, then an agent on each node; returns when all are ready.
    pub fn start(lab: Lab, agents: impl Into<AgentOptions>) -> Result<Self> {
        let mut cluster = Self { agents: Vec::new(), servers: Vec::new(), pods: Vec::new(), lab };
        cluster.start_pods()?;
        cluster.start_agents(&agents.into())?;
        Ok(cluster)
    }

    /// Starts the Pods only, for what has to be so before the agents start.
    pub fn without_agents(lab: Lab) -> Result<Self> {
        let mut cluster = Self { agents: Vec::new(), servers: Vec::new(), pods: Vec::new(), lab };
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
        self.pods.iter().find(|pod| pod.name() == name).ok_or_else(|| {
            let names: Vec<_> = self.pods.iter().map(|pod| pod.name()).collect();
            Error::Unknown { what: "pod", name: name.into(), have: format!("are {}", names.join(", ")) }
        })
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
        self.servers.iter_mut().for_each(Process::leave);
        Ok(())
    }

    fn start_pods(&mut self) -> Result<()> {
        for manifest in self.lab.manifests().pods()? {
            let pod = self.start_pod(&manifest)?;
            let (http, udp) = (manifest.tcp_ports(), manifest.udp_ports());
            if !http.is_empty() || !udp.is_empty() {
                let servers = Serve { name: manifest.name().into(), http, udp, echo: Vec::new() };
                self.servers.push(pod.serve(&servers)?);
            }
            self.pods.push(pod);
        }
        Ok(())
    }

    fn start_pod(&self, manifest: &PodManifest) -> Result<Pod> {
        let addresses = manifest.addresses().ok_or_else(|| Error::Manifest {
            file: self.lab.manifests().dir().into(),
            object: format!("Pod {}", manifest.name()),
            problem: "status.podIPs needs an IPv4 and an IPv6 address in the lab".into(),
        })?;
        self.lab.node(manifest.node())?.add_pod_at(manifest.name(), addresses)
    }
}
