//! A NetworkPolicy (networking.k8s.io/v1).

use std::collections::BTreeMap;
use std::fmt;

use ipnetwork::IpNetwork;

use super::{PortName, Selector};
use crate::model::Protocol;

/// Namespace and name of a NetworkPolicy.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct PolicyRef {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
}

impl fmt::Display for PolicyRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// Which way traffic goes, seen from the Pod that a policy selects.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Direction {
    /// To the Pod.
    Ingress,
    /// From the Pod.
    Egress,
}

impl Direction {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Ingress, Self::Egress];
}

/// A NetworkPolicy, as far as it can be used.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NetworkPolicy {
    /// Namespace.
    pub namespace: String,
    /// Name: a DNS subdomain, 253 bytes at most.
    pub name: String,
    /// The Pods of its namespace that it isolates. A requirement that can't be understood is left out, so that it rather
    /// isolates too many; its rules then have no peers, so that nothing is opened to those.
    pub pod_selector: Selector,
    /// What may reach them; `None` where `policyTypes` leaves ingress alone.
    pub ingress: Option<Vec<PolicyRule>>,
    /// What they may reach; `None` where `policyTypes` leaves egress alone.
    pub egress: Option<Vec<PolicyRule>>,
    /// It is reported what it would deny, and nothing is denied.
    pub audit: bool,
    /// What the API server would have refused, each as field and problem. What they say is left out of the rest, such that
    /// nothing more is allowed for it.
    pub defects: Vec<String>,
}

impl NetworkPolicy {
    /// Its namespace and name.
    #[must_use]
    pub fn policy_ref(&self) -> PolicyRef {
        PolicyRef { namespace: self.namespace.clone(), name: self.name.clone() }
    }

    /// What it allows in a direction; `None` where it leaves that alone.
    #[must_use]
    pub fn rules(&self, direction: Direction) -> Option<&[PolicyRule]> {
        match direction {
            Direction::Ingress => self.ingress.as_deref(),
            Direction::Egress => self.egress.as_deref(),
        }
    }
}

/// A rule: what it allows is each of its peers on each of its ports. It keeps its place in the object's list, also where
/// nothing of it can be used.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct PolicyRule {
    /// `from` or `to`; `None`: absent or empty, everybody.
    pub peers: Option<Vec<Peer>>,
    /// `ports`; `None`: absent or empty, all traffic of whatever protocol.
    pub ports: Option<Vec<PolicyPort>>,
}

/// A peer.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Peer {
    /// Pods; never those on their host's network.
    Pods {
        /// Which namespaces they are of.
        namespaces: Namespaces,
        /// Which Pods of those.
        pods: Selector,
    },
    /// Addresses, whoever has them.
    Block {
        /// These.
        cidr: IpNetwork,
        /// But none of these, each within `cidr`.
        except: Vec<IpNetwork>,
    },
}

/// The namespaces that a peer's Pods are of.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Namespaces {
    /// The one of this name: the policy's own.
    Named(String),
    /// Those with these labels.
    Matching(Selector),
}

impl PolicyPort {
    /// Its name, if it has one, with the protocol.
    pub(super) fn name(&self) -> Option<PortName> {
        match &self.port {
            PortMatch::Name(name) => Some((name.clone(), self.protocol)),
            _ => None,
        }
    }
}

impl Namespaces {
    /// Whether the namespace of this name and these labels is one of them.
    pub(super) fn holds(&self, name: &str, labels: &BTreeMap<String, String>) -> bool {
        match self {
            Self::Named(own) => own == name,
            Self::Matching(selector) => selector.matches(labels),
        }
    }
}

/// A port.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct PolicyPort {
    /// Protocol; TCP where the object names none.
    pub protocol: Protocol,
    /// Which of its ports.
    pub port: PortMatch,
}

/// Ports of a protocol.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum PortMatch {
    /// All.
    All,
    /// From `port` to `endPort`.
    Range(PortRange),
    /// The one that the destination Pod has under this name and protocol.
    Name(String),
}

/// Port numbers, from the first to the last.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct PortRange {
    /// First.
    pub first: u16,
    /// Last, itself included.
    pub last: u16,
}
