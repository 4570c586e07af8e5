//! Where a client is, seen from this node.

use std::net::IpAddr;

use proxy_common::addr::Addr;
use proxy_common::service::Client;
use proxy_common::tables::{address_flags, device_flags};

use super::routes::Ways;
use crate::dataplane::ebpf::read::{Pinned, ReadError};
use crate::status::AgentStatus;

/// Where a client is, and what says so.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Place {
    pub(super) client: Client,
    /// `namespace/name` of the Pod that has the address.
    pub(super) pod: Option<String>,
    pub(super) because: String,
}

/// Where the programs meet the packets of `ip`. A packet tells it by the interface it comes in by; before there is one,
/// the agent's list of Pods and the node's routes tell by which it would.
pub(super) fn place(
    pinned: &Pinned,
    agent: Option<&AgentStatus>,
    routes: &impl Ways,
    ip: IpAddr,
) -> Result<Place, ReadError> {
    let pod = agent.and_then(|agent| agent.pod_at(ip)).map(ToString::to_string);
    let addr = Addr::from(ip);
    let of_node = pinned.addresses.get(&addr)?.is_some_and(|address| address.is(address_flags::NODE));
    if of_node || addr.is_loopback() {
        return Ok(Place { client: Client::Node, pod, because: "it is an address of this node".into() });
    }
    if pod.is_some() {
        let because = "the agent has it as a Pod of this node".into();
        return Ok(Place { client: Client::Pod, pod, because });
    }
    let (client, because) = by_route(pinned, agent, routes, ip)?;
    Ok(Place { client, pod, because })
}

fn by_route(
    pinned: &Pinned,
    agent: Option<&AgentStatus>,
    routes: &impl Ways,
    ip: IpAddr,
) -> Result<(Client, String), ReadError> {
    let Some(hop) = routes.to(ip) else {
        return Ok((Client::Outside, "the node has no route to it".into()));
    };
    if hop.is_local {
        return Ok((Client::Node, "the node's routes have it as the node's own".into()));
    }
    let device = agent.and_then(|agent| agent.device(hop.ifindex));
    let is_pod = pinned.devices.get(&hop.ifindex)?.is_some_and(|device| device.flags & device_flags::POD != 0);
    let name = device.map_or_else(|| format!("interface {}", hop.ifindex), str::to_owned);
    Ok(match device {
        _ if is_pod => (Client::Pod, format!("its route leaves by {name}, a pod's interface")),
        // Whatever reaches it by a port of this interface is met at that port, as a pod's.
        None if agent.is_some() => {
            (Client::Pod, format!("its route leaves by {name}, which is no uplink: it is behind a pod's interface"))
        }
        _ => (Client::Outside, format!("its route leaves by {name}, an uplink")),
    })
}
