//! Pods as endpoints of Services.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use super::{Protocol, TargetPort};

/// A port of a Pod's container.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ContainerPort {
    /// Name; empty where it has none.
    pub name: String,
    /// Protocol.
    pub protocol: Protocol,
    /// Number.
    pub port: u16,
}

/// A Pod.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a field or condition of the object, and none follows from others"
)]
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pod {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// Labels, which the Pods of one controller have in common.
    pub labels: Arc<BTreeMap<String, String>>,
    /// `spec.nodeName`, once it is scheduled.
    pub node_name: Option<String>,
    /// Addresses, one of a family at most; none before it has its network.
    pub ips: Vec<IpAddr>,
    /// Ports of its containers, then of its restartable init containers.
    pub ports: Vec<ContainerPort>,
    /// The Ready condition is True.
    pub ready: bool,
    /// It has a `deletionTimestamp`.
    pub terminating: bool,
    /// Its phase is Succeeded or Failed: nothing runs any more.
    pub finished: bool,
    /// It is on its host's network: its addresses are the node's, and no policy is about it.
    pub host_network: bool,
}

impl Pod {
    /// The number that `target` of `protocol` is on this Pod; `None` where no container names it.
    #[must_use]
    pub fn resolve(&self, target: &TargetPort, protocol: Protocol) -> Option<u16> {
        match target {
            TargetPort::Number(number) => Some(*number),
            TargetPort::Name(name) => {
                self.ports.iter().find(|port| port.name == *name && port.protocol == protocol).map(|port| port.port)
            }
        }
    }

    /// Whether its labels match `selector`. An empty selector selects nothing: such a Service's endpoints are somebody
    /// else's affair.
    #[must_use]
    pub fn is_selected_by(&self, selector: &BTreeMap<String, String>) -> bool {
        !selector.is_empty() && selector.iter().all(|(key, value)| self.labels.get(key) == Some(value))
    }
}
