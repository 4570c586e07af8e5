//! What the tables hold by the names people gave it.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use proxy_common::addr::{Addr, Family, Port, protocol};
use proxy_common::tables::{Service, ServiceKey, ServiceName, SourceRange, service_flags};
use serde::Serialize;

use crate::plan::{SourcePrefix, name};

/// Name of a Service port.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
pub(super) struct PortName {
    pub(super) namespace: String,
    pub(super) name: String,
    /// Empty for an unnamed port.
    #[serde(rename = "portName")]
    pub(super) port: String,
    pub(super) protocol: &'static str,
    pub(super) family: &'static str,
}

impl PortName {
    /// No Service port at all.
    pub(super) const fn none() -> Self {
        Self { namespace: String::new(), name: String::new(), port: String::new(), protocol: "", family: "" }
    }

    /// What can't be told any more.
    pub(super) fn unknown() -> Self {
        let unknown = || "<unknown>".to_owned();
        Self { namespace: unknown(), name: unknown(), port: String::new(), protocol: "?", family: "?" }
    }

    /// The port's name as kubectl describes it.
    pub(super) fn port(&self) -> String {
        if self.port.is_empty() { "<unset>".into() } else { self.port.clone() }
    }
}

impl From<&ServiceName> for PortName {
    fn from(entry: &ServiceName) -> Self {
        let Some(name) = name::from_table(entry) else { return Self::unknown() };
        Self {
            namespace: name.service.namespace,
            name: name.service.name,
            port: name.port,
            protocol: protocol::name(name.protocol.number()),
            family: match name.family {
                Family::V4 => "IPv4",
                Family::V6 => "IPv6",
            },
        }
    }
}

/// Which objects were asked for.
#[derive(Clone, Copy, Default)]
pub(super) struct Filter<'a> {
    pub(super) namespace: Option<&'a str>,
    pub(super) name: Option<&'a str>,
}

impl Filter<'_> {
    /// Nothing in particular.
    pub(super) const fn is_everything(self) -> bool {
        self.namespace.is_none() && self.name.is_none()
    }

    /// Whether the Service port is one of those.
    pub(super) fn takes(self, port: &PortName) -> bool {
        self.takes_named(&port.namespace, &port.name)
    }

    /// Whether the object of this name is one of those.
    pub(super) fn takes_named(self, namespace: &str, name: &str) -> bool {
        self.namespace.is_none_or(|wanted| wanted == namespace) && self.name.is_none_or(|wanted| wanted == name)
    }

    /// The Service ports asked for, by number, in the order of their names.
    pub(super) fn ports(self, names: &BTreeMap<u32, ServiceName>) -> Vec<(u32, PortName)> {
        let all = names.iter().map(|(id, name)| (*id, PortName::from(name)));
        let mut ports: Vec<_> = all.filter(|(_, port)| self.takes(port)).collect();
        ports.sort_by(|(_, a), (_, b)| a.cmp(b));
        ports
    }
}

/// Address and port as a URL has them: IPv6 in brackets.
pub(super) fn socket_addr(addr: Addr, port: Port) -> String {
    SocketAddr::new(IpAddr::from(addr), port.number()).to_string()
}

/// Kind of a frontend, each with those before it included, as Kubernetes' Service types are.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
pub(super) enum FrontendType {
    ClusterIP,
    ExternalIP,
    NodePort,
    LoadBalancer,
}

impl FrontendType {
    /// Of the frontend whose value in `SERVICES` this is.
    pub(super) const fn new(service: &Service) -> Self {
        if service.flags & service_flags::LOAD_BALANCER != 0 {
            Self::LoadBalancer
        } else if service.flags & service_flags::NODE_PORT != 0 {
            Self::NodePort
        } else if service.flags & service_flags::EXTERNAL != 0 {
            Self::ExternalIP
        } else {
            Self::ClusterIP
        }
    }

    /// As Kubernetes writes it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::ClusterIP => "ClusterIP",
            Self::ExternalIP => "ExternalIP",
            Self::NodePort => "NodePort",
            Self::LoadBalancer => "LoadBalancer",
        }
    }

    /// `IP:port`; `*:port` for a node port, which is served on the node's addresses.
    pub(super) fn address(self, key: &ServiceKey) -> String {
        if self == Self::NodePort { format!("*:{}", key.port) } else { socket_addr(key.addr, key.port) }
    }
}

/// A source range as a Service's `loadBalancerSourceRanges` has it.
pub(super) fn cidr(prefix: &SourcePrefix) -> String {
    let before = match prefix.range.addr.family() {
        Family::V4 => SourceRange::BEFORE_V4,
        Family::V6 => SourceRange::BEFORE_V6,
    };
    format!("{}/{}", prefix.range.addr, prefix.bits.saturating_sub(before))
}

/// A cell of a table; kubectl's `<none>` for an empty one.
pub(super) fn non_empty(text: String) -> String {
    if text.is_empty() { "<none>".into() } else { text }
}
