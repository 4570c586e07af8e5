//! EndpointSlices and Endpoints, and what a Service port gets from them.

use std::net::IpAddr;
use std::sync::Arc;

use jiff::Timestamp;
use proxy_common::addr::Family;

use super::topology::{Here, Hint, Hints};
use super::{Kind, ObjectRef, Protocol, ServiceRef};

/// An endpoint of a Service port.
#[expect(clippy::struct_excessive_bools, reason = "the conditions of an EndpointSlice's endpoint, under their names")]
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Endpoint {
    /// Address.
    pub ip: IpAddr,
    /// Port number on it.
    pub port: u16,
    /// Node it runs on, if known.
    pub node_name: Option<Arc<str>>,
    /// It runs on this node.
    pub is_local: bool,
    /// It gets new connections.
    pub ready: bool,
    /// It answers, whether terminating or not.
    pub serving: bool,
    /// It is shutting down.
    pub terminating: bool,
    /// What its hints say of this node.
    pub node_hint: Hint,
    /// What its hints say of this node's zone.
    pub zone_hint: Hint,
}

/// Addresses that share one list of ports.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EndpointGroup {
    /// Ports; those without a number are left out.
    pub ports: Vec<GroupPort>,
    /// Addresses.
    pub endpoints: Vec<GroupEndpoint>,
}

/// A port of a group. Matches the Service's port of the same name and protocol.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GroupPort {
    /// Name, empty for an unnamed one.
    pub name: String,
    /// Protocol.
    pub protocol: Protocol,
    /// Number.
    pub port: u16,
}

/// An address of a group.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GroupEndpoint {
    /// Address.
    pub ip: IpAddr,
    /// Node it runs on, if known.
    pub node_name: Option<Arc<str>>,
    /// Condition, true where it wasn't given.
    pub ready: bool,
    /// Condition, true where it wasn't given.
    pub serving: bool,
    /// Condition, false where it wasn't given.
    pub terminating: bool,
    /// Nodes and zones it is meant for; `None` where no hint was given.
    pub hints: Option<Arc<Hints>>,
}

/// An EndpointSlice.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EndpointSlice {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// Service of the same namespace that it belongs to (label `kubernetes.io/service-name`); `None` where the label is
    /// missing, empty, or the slice is a headless Service's.
    pub service: Option<ServiceRef>,
    /// `addressType`; `None` for host names.
    pub family: Option<Family>,
    /// When what the slice tells of last changed, where its controller says so (annotation
    /// `endpoints.kubernetes.io/last-change-trigger-time`). No part of what the slice means.
    pub last_change: Option<Timestamp>,
    /// Addresses and ports; no address where the slice holds host names.
    pub group: EndpointGroup,
}

impl EndpointSlice {
    /// Which object this is.
    pub(super) fn object_ref(&self) -> ObjectRef {
        ObjectRef { kind: Kind::EndpointSlice, namespace: self.namespace.clone(), name: self.name.clone() }
    }

    /// Whether any of its endpoints is meant for a zone.
    pub(super) fn has_zone_hints(&self) -> bool {
        let mut hints = self.group.endpoints.iter().filter_map(|it| it.hints.as_deref());
        hints.any(|hints| !hints.for_zones.is_empty())
    }
}

/// An Endpoints object.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Endpoints {
    /// The Service it belongs to: the one of its own name.
    pub service: ServiceRef,
    /// Its subsets.
    pub subsets: Vec<EndpointGroup>,
}

/// The endpoints of the Service port (`name`, `protocol`, `of`) in `groups`, as seen from `here`.
pub(super) fn from_groups<'a>(
    groups: impl Iterator<Item = &'a EndpointGroup>,
    (name, protocol, of): (&str, Protocol, Family),
    here: &Here,
) -> Vec<Endpoint> {
    let mut endpoints = Vec::new();
    for group in groups {
        for port in group.ports.iter().filter(|port| port.name == name && port.protocol == protocol) {
            let addresses = group.endpoints.iter().filter(|it| super::service::family(it.ip) == of);
            endpoints.extend(addresses.map(|it| Endpoint {
                ip: it.ip,
                port: port.port,
                is_local: here.is_node(it.node_name.as_deref()),
                node_name: it.node_name.clone(),
                ready: it.ready,
                serving: it.serving,
                terminating: it.terminating,
                node_hint: it.hints.as_deref().map_or(Hint::Absent, |hints| hints.of_node(here)),
                zone_hint: it.hints.as_deref().map_or(Hint::Absent, |hints| hints.of_zone(here)),
            }));
        }
    }
    unique(endpoints)
}

/// Each (address, port) once, in their order. Of several, one that isn't terminating wins, then a ready one: so an
/// endpoint that moves between slices stays while both list it.
pub(super) fn unique(mut endpoints: Vec<Endpoint>) -> Vec<Endpoint> {
    endpoints.sort_by_key(|it| (it.ip, it.port, it.terminating, !it.ready, !it.serving));
    endpoints.dedup_by_key(|it| (it.ip, it.port));
    endpoints
}
