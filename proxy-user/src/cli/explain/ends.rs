//! Who asks whom: from the names that were given to addresses.

use std::collections::BTreeMap;
use std::net::IpAddr;

use anyhow::{Context as _, bail, ensure};
use proxy_common::tables::{Service, ServiceKey};

use crate::cli::names::{Filter, FrontendType, PortName};
use crate::dataplane::ebpf::read::{Pinned, ReadError};
use crate::status::{AgentStatus, PodStatus};

/// What names can mean here.
pub(super) struct Names<'a> {
    pods: &'a [PodStatus],
    /// By the number of the Service port.
    pub(super) ports: BTreeMap<u32, PortName>,
    pub(super) frontends: BTreeMap<ServiceKey, Service>,
    /// Of names without one.
    namespace: &'a str,
}

/// The ends of a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Ends {
    pub(super) from: IpAddr,
    pub(super) to: IpAddr,
    pub(super) port: u16,
}

impl<'a> Names<'a> {
    pub(super) fn read(pinned: &Pinned, agent: Option<&'a AgentStatus>, namespace: &'a str) -> Result<Self, ReadError> {
        Ok(Self {
            pods: agent.map(|agent| agent.pods.as_slice()).unwrap_or_default(),
            ports: Filter::default().ports(&pinned.names.entries()?).into_iter().collect(),
            frontends: pinned.services.entries()?,
            namespace,
        })
    }

    /// The ends that are meant: of one family, IPv4 where both have it.
    pub(super) fn ends(&self, from: &str, to: &str, port: &str, protocol: u8) -> anyhow::Result<Ends> {
        let sources = match from.parse::<IpAddr>() {
            Ok(ip) => vec![ip],
            Err(_) => self.pod(from)?.ips.clone(),
        };
        let mut destinations = match to.parse::<IpAddr>() {
            Ok(ip) => vec![(ip, number(port)?)],
            Err(_) => self.destinations(to, port, protocol)?,
        };
        destinations.sort_by_key(|(ip, _)| ip.is_ipv6());
        for (to, port) in &destinations {
            if let Some(from) = sources.iter().find(|ip| ip.is_ipv4() == to.is_ipv4()) {
                return Ok(Ends { from: *from, to: *to, port: *port });
            }
        }
        bail!("--from {from} and --to {to} have no address of the same family")
    }

    /// Namespace and name.
    fn split<'t>(&self, text: &'t str) -> (&'t str, &'t str)
    where
        'a: 't,
    {
        text.split_once('/').unwrap_or((self.namespace, text))
    }

    fn find_pod(&self, text: &str) -> Option<&PodStatus> {
        let (namespace, name) = self.split(text);
        self.pods.iter().find(|pod| pod.namespace == namespace && pod.name == name)
    }

    fn pod(&self, text: &str) -> anyhow::Result<&PodStatus> {
        let (namespace, name) = self.split(text);
        self.find_pod(text).with_context(|| {
            format!(
                "pods \"{name}\" not found in namespace {namespace} on this node: ask on the Pod's own node, or name its \
                 address"
            )
        })
    }

    /// What a name means as a destination: a Service or, where none has it, a Pod of this node.
    fn destinations(&self, text: &str, port: &str, protocol: u8) -> anyhow::Result<Vec<(IpAddr, u16)>> {
        let (namespace, name) = self.split(text);
        let filter = Filter { namespace: Some(namespace), name: Some(name) };
        if self.ports.values().any(|port| filter.takes(port)) {
            return self.service(text, port, protocol);
        }
        match self.find_pod(text) {
            Some(pod) => number(port).map(|port| pod.ips.iter().map(|ip| (*ip, port)).collect()),
            None => bail!("services \"{name}\" not found in namespace {namespace}, nor a Pod of this node"),
        }
    }

    /// The cluster IPs of a Service, with the port's number.
    fn service(&self, text: &str, port: &str, protocol: u8) -> anyhow::Result<Vec<(IpAddr, u16)>> {
        let (namespace, name) = self.split(text);
        let filter = Filter { namespace: Some(namespace), name: Some(name) };
        let ids: BTreeMap<_, _> = self.ports.iter().filter(|(_, port)| filter.takes(port)).collect();
        let cluster_ips = || {
            let of_service = self.frontends.iter().filter(|(_, service)| ids.contains_key(&service.id));
            of_service.filter(|(_, service)| FrontendType::new(service) == FrontendType::ClusterIP)
        };
        ensure!(
            cluster_ips().next().is_some(),
            "Service {namespace}/{name} has no ClusterIP: name an address with --to"
        );
        if let Ok(number) = port.parse() {
            return Ok(cluster_ips().map(|(key, _)| (key.addr.into(), number)).collect());
        }
        let named = cluster_ips().filter(|(key, service)| ids[&service.id].port == port && key.protocol == protocol);
        let named: Vec<_> = named.map(|(key, _)| (key.addr.into(), key.port.number())).collect();
        if named.is_empty() {
            let have: Vec<_> = ids.values().map(|port| format!("{} ({})", port.port(), port.protocol)).collect();
            bail!("Service {namespace}/{name} has no port {port} of this protocol: it has {}", have.join(", "));
        }
        Ok(named)
    }
}

fn number(port: &str) -> anyhow::Result<u16> {
    match port.parse() {
        Ok(port) => Ok(port),
        Err(_) => {
            bail!("--port {port}: an address or a Pod has ports by number; with --to SERVICE a port can be named")
        }
    }
}
