//! Reasons, in words: read off the same bits that the decision looks at.

use proxy_common::addr::{Family, protocol};
use proxy_common::service::Client;
use proxy_common::tables::{EndpointSet, FlowRecord, Service, Topology, service_flags};

use super::decide::Question;
use super::explanation::Translation;
use crate::config::SocketLb;

/// [`Translation::at`].
pub(super) const SOCKET: &str = "socket";
const PACKET: &str = "packet";
/// Of a source.
pub(super) const KEPT: &str = "the client's own";

pub(super) const fn place(client: Client) -> &'static str {
    match client {
        Client::Pod => "Pod",
        Client::Node => "Node",
        Client::Outside => "Outside",
    }
}

pub(super) const fn set_name(set: EndpointSet) -> &'static str {
    match set {
        EndpointSet::Cluster => "Cluster",
        EndpointSet::Local => "Local",
    }
}

/// The field that a frontend is under.
pub(super) const fn policy(service: &Service) -> &'static str {
    if service.flags & service_flags::EXTERNAL != 0 { "externalTrafficPolicy" } else { "internalTrafficPolicy" }
}

pub(super) const fn has_source_ranges(service: &Service) -> bool {
    service.flags & service_flags::SOURCE_RANGES != 0
}

/// Why these endpoints.
pub(super) fn endpoint_set(service: &Service, client: Client, set: EndpointSet) -> Vec<String> {
    let is_local = service.flags & service_flags::LOCAL_ONLY != 0;
    let policy = policy(service);
    let mut because = vec![format!("{policy} is {}", if is_local { "Local" } else { "Cluster" })];
    if is_local && set == EndpointSet::Cluster {
        let who = if client == Client::Node { "the node itself" } else { "a pod of this node" };
        because.push(format!("{who} is inside the cluster, so {policy} doesn't restrict it"));
    }
    let terminating = match set {
        EndpointSet::Cluster => service_flags::TERMINATING_CLUSTER,
        EndpointSet::Local => service_flags::TERMINATING_LOCAL,
    };
    if service.flags & terminating != 0 {
        because.push("none is ready: those that still serve while they terminate are the last resort".into());
    }
    if set == EndpointSet::Cluster {
        because.extend(topology(Topology::from_flags(service.flags)).map(str::to_owned));
    }
    because
}

const fn topology(topology: Topology) -> Option<&'static str> {
    match topology {
        Topology::None => None,
        Topology::Node => Some("hints are used: those for this node"),
        Topology::Zone => Some("hints are used: those for this node's zone"),
        Topology::NotAllHinted => Some("hints are not used: some ready endpoint has none"),
        Topology::NoneForHere => Some("hints are not used: no endpoint is hinted for this node or its zone"),
        Topology::ZoneUnknown => Some("hints are not used: this node's zone isn't known (topology.kubernetes.io/zone)"),
    }
}

/// Where a Service's connection is translated.
pub(super) fn translation(question: &Question, service: &Service, socket_lb: Option<SocketLb>) -> Translation {
    let at_socket = match (socket_lb, question.client) {
        (_, Client::Outside) => Err("the client's socket is not on this node"),
        (None, _) => Err("no agent tells that sockets are translated"),
        (Some(SocketLb::Off), _) => Err("socket LB is off"),
        (Some(SocketLb::Host), Client::Pod) => Err("socket LB is for programs of the node only"),
        (Some(SocketLb::On | SocketLb::Host), Client::Pod | Client::Node) => at_socket(question, service),
    };
    match at_socket {
        Ok((hook, because)) => Translation { at: SOCKET, hook, because },
        Err(because) => in_the_path(question, because),
    }
}

/// The hook and what is to say of it, or why the socket is left alone.
fn at_socket(question: &Question, service: &Service) -> Result<(&'static str, &'static str), &'static str> {
    if service.depends_on_client() {
        return Err("which endpoint serves depends on the client's address, which a socket doesn't have yet");
    }
    if question.source.is_loopback() {
        return Err("an endpoint elsewhere couldn't answer to a loopback address");
    }
    let connected = "no packet has the Service's address";
    let unconnected = "but a connected socket's datagrams are translated in the path";
    match (question.protocol, question.to.family()) {
        (protocol::TCP, Family::V4) => Ok(("connect4", connected)),
        (protocol::TCP, Family::V6) => Ok(("connect6", connected)),
        (protocol::UDP, Family::V4) => Ok(("sendmsg4", unconnected)),
        (protocol::UDP, Family::V6) => Ok(("sendmsg6", unconnected)),
        _ => Err("sockets of this protocol are left alone"),
    }
}

pub(super) const fn in_the_path(question: &Question, because: &'static str) -> Translation {
    let hook = match question.client {
        Client::Pod => "from_pod",
        Client::Node => "to_uplink",
        Client::Outside => "from_uplink",
    };
    Translation { at: PACKET, hook, because }
}

/// Why the endpoint sees this source.
pub(super) fn source(question: &Question, record: &FlowRecord) -> &'static str {
    if record.src == question.source {
        return KEPT;
    }
    match question.client {
        Client::Pod => "the pod reaches itself, and must not see itself as its peer",
        Client::Node if question.source.is_loopback() => "a loopback address is nobody's beyond the node",
        Client::Node => "as for a connection of the node to the endpoint itself",
        Client::Outside => "the endpoint is on another node, and its replies must come back by this one",
    }
}
