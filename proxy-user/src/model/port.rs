//! A Service port in one family: the unit that is served.

use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnetwork::IpNetwork;
use proxy_common::addr::{Family, protocol};

use super::{Endpoint, ServiceRef};

/// Protocol of a port.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Protocol {
    /// TCP, the default.
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}

impl Protocol {
    /// Its number in the IP header.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Tcp => protocol::TCP,
            Self::Udp => protocol::UDP,
            Self::Sctp => protocol::SCTP,
        }
    }

    /// The protocol with this number in the IP header, if Services can have it.
    #[must_use]
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            protocol::TCP => Some(Self::Tcp),
            protocol::UDP => Some(Self::Udp),
            protocol::SCTP => Some(Self::Sctp),
            _ => None,
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(protocol::name(self.number()))
    }
}

/// Which endpoints a frontend may use.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TrafficPolicy {
    /// All, the default.
    Cluster,
    /// Those on the node that received the traffic.
    Local,
}

/// What kind of address a frontend is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum FrontendKind {
    /// The ClusterIP; under `internalTrafficPolicy`.
    ClusterIp,
    /// An external IP.
    ExternalIp,
    /// An address of the load balancer.
    LoadBalancer,
    /// The node's own addresses.
    NodePort,
}

/// Where clients of a Service port send to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Frontend {
    /// Kind.
    pub kind: FrontendKind,
    /// Address; for a node port the unspecified one of its family.
    pub addr: IpAddr,
    /// Port number.
    pub port: u16,
    /// Protocol.
    pub protocol: Protocol,
}

impl Frontend {
    /// The node port `number` in the family `of`.
    #[must_use]
    pub const fn node_port(of: Family, number: u16, protocol: Protocol) -> Self {
        let addr = match of {
            Family::V4 => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            Family::V6 => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        };
        Self { kind: FrontendKind::NodePort, addr, port: number, protocol }
    }

    /// What a packet is matched by; only one Service port can have it.
    #[must_use]
    pub const fn key(&self) -> (IpAddr, u16, Protocol) {
        (self.addr, self.port, self.protocol)
    }
}

impl fmt::Display for Frontend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.kind, self.addr) {
            (FrontendKind::NodePort, IpAddr::V4(_)) => write!(f, "IPv4 node port {}/{}", self.port, self.protocol),
            (FrontendKind::NodePort, IpAddr::V6(_)) => write!(f, "IPv6 node port {}/{}", self.port, self.protocol),
            (_, IpAddr::V4(addr)) => write!(f, "{addr}:{}/{}", self.port, self.protocol),
            (_, IpAddr::V6(addr)) => write!(f, "[{addr}]:{}/{}", self.port, self.protocol),
        }
    }
}

/// Name of a Service port in one family.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ServicePortName {
    /// The Service.
    pub service: ServiceRef,
    /// Name of the port, empty for an unnamed one.
    pub port: String,
    /// Protocol.
    pub protocol: Protocol,
    /// Family.
    pub family: Family,
}

impl fmt::Display for ServicePortName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let family = match self.family {
            Family::V4 => "IPv4",
            Family::V6 => "IPv6",
        };
        write!(f, "{}:{} {} {family}", self.service, self.port, self.protocol)
    }
}

/// A Service port in one family, with everything that is to be served.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ServicePort {
    /// Name.
    pub name: ServicePortName,
    /// Where clients send to; never empty, and no other Service port has any of them.
    pub frontends: Vec<Frontend>,
    /// Policy of the ClusterIP.
    pub internal_traffic_policy: TrafficPolicy,
    /// Policy of every other frontend.
    pub external_traffic_policy: TrafficPolicy,
    /// Seconds that a client without a new flow keeps its endpoint (`sessionAffinity: ClientIP`); `None`: no affinity.
    pub session_affinity: Option<u32>,
    /// Where clients of external IPs and of the load balancer's addresses may be; `None`: anywhere.
    pub source_ranges: Option<BTreeSet<IpNetwork>>,
    /// Endpoints in the order of their addresses, each (address, port) once.
    pub endpoints: Vec<Endpoint>,
}
