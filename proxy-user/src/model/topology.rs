//! Which endpoints of a Service port are chosen for new connections, and why these. Hints in EndpointSlices are all that
//! counts: what a Service's `trafficDistribution` asks for is in them. Numbers in brackets are those of kube-proxy's rules.

use std::sync::Arc;

use proxy_common::tables::Topology;

use super::{Endpoint, ServicePort};

/// Where this node is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Here {
    /// Name of the node; empty: nothing is on it.
    pub(super) node_name: String,
    /// Its zone, as last known.
    pub(super) zone: Option<String>,
}

impl Here {
    /// Whether `name` is this node's.
    pub(super) fn is_node(&self, name: Option<&str>) -> bool {
        !self.node_name.is_empty() && name == Some(&*self.node_name)
    }
}

/// Nodes and zones that an endpoint is meant for (`hints.forNodes`, `hints.forZones`).
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Hints {
    /// Names of nodes.
    pub for_nodes: Vec<Arc<str>>,
    /// Names of zones.
    pub for_zones: Vec<Arc<str>>,
}

impl Hints {
    /// What they say of the node.
    pub(super) fn of_node(&self, here: &Here) -> Hint {
        let name = Some(&*here.node_name).filter(|name| !name.is_empty());
        Hint::of(&self.for_nodes, name)
    }

    /// What they say of its zone.
    pub(super) fn of_zone(&self, here: &Here) -> Hint {
        Hint::of(&self.for_zones, here.zone.as_deref())
    }
}

/// What an endpoint's hints of one kind say of this node.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Hint {
    /// There is none.
    Absent,
    /// The endpoint is meant for us, maybe among others.
    Here,
    /// It is meant for others.
    Elsewhere,
    /// It is meant for some, and whether we are one isn't known: this node has no zone, or no name.
    Unplaced,
}

impl Hint {
    fn of(names: &[Arc<str>], ours: Option<&str>) -> Self {
        match ours {
            _ if names.is_empty() => Self::Absent,
            None => Self::Unplaced,
            Some(ours) if names.iter().any(|name| **name == *ours) => Self::Here,
            Some(_) => Self::Elsewhere,
        }
    }
}

/// Why a set of endpoints is as it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reason {
    /// It holds ready endpoints, those that hints leave.
    Ready(Topology),
    /// No endpoint is ready: it holds those that still serve while they terminate.
    Terminating,
    /// There is no endpoint that could serve.
    Nobody,
}

/// Endpoints that are chosen from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Chosen<'a> {
    /// The endpoints, in the order of their addresses.
    pub endpoints: Vec<&'a Endpoint>,
    /// Why these.
    pub reason: Reason,
}

impl ServicePort {
    /// The Cluster set (3.3): the ready endpoints that hints leave, else those that still serve while they terminate,
    /// wherever they are and whatever their hints.
    #[must_use]
    pub fn cluster_set(&self) -> Chosen<'_> {
        ready_or_terminating(self.endpoints.iter().collect(), hinted)
    }

    /// The Local set (3.4): the same of this node's endpoints, without regard to hints.
    #[must_use]
    pub fn local_set(&self) -> Chosen<'_> {
        let local = self.endpoints.iter().filter(|it| it.is_local).collect();
        ready_or_terminating(local, |ready| Chosen { endpoints: ready, reason: Reason::Ready(Topology::None) })
    }
}

fn ready_or_terminating<'a>(
    endpoints: Vec<&'a Endpoint>,
    choose: impl FnOnce(Vec<&'a Endpoint>) -> Chosen<'a>,
) -> Chosen<'a> {
    let ready: Vec<_> = endpoints.iter().copied().filter(|it| it.ready).collect();
    if !ready.is_empty() {
        return choose(ready);
    }
    let terminating: Vec<_> = endpoints.into_iter().filter(|it| it.serving && it.terminating).collect();
    let reason = if terminating.is_empty() { Reason::Nobody } else { Reason::Terminating };
    Chosen { endpoints: terminating, reason }
}

/// Hints for the node (3.8), else for its zone (3.9), else none (3.10): hints of one kind hold where every ready endpoint
/// has one and at least one of them is for us.
fn hinted(ready: Vec<&Endpoint>) -> Chosen<'_> {
    for (hint, topology) in
        [(Endpoint::of_node as fn(&Endpoint) -> Hint, Topology::Node), (Endpoint::of_zone, Topology::Zone)]
    {
        if ready.iter().all(|it| hint(it) != Hint::Absent) && ready.iter().any(|it| hint(it) == Hint::Here) {
            let for_us = ready.into_iter().filter(|it| hint(it) == Hint::Here);
            return Chosen { endpoints: for_us.collect(), reason: Reason::Ready(topology) };
        }
    }
    let reason = Reason::Ready(unhinted(&ready));
    Chosen { endpoints: ready, reason }
}

/// Why neither kind of hints held for `ready`.
fn unhinted(ready: &[&Endpoint]) -> Topology {
    let all_have = |hint: fn(&Endpoint) -> Hint| ready.iter().all(|it| hint(it) != Hint::Absent);
    let none_has = |hint: fn(&Endpoint) -> Hint| ready.iter().all(|it| hint(it) == Hint::Absent);
    if none_has(Endpoint::of_node) && none_has(Endpoint::of_zone) {
        Topology::None
    } else if all_have(Endpoint::of_zone) {
        let unplaced = ready.iter().any(|it| it.zone_hint == Hint::Unplaced);
        if unplaced { Topology::ZoneUnknown } else { Topology::NoneForHere }
    } else if all_have(Endpoint::of_node) && none_has(Endpoint::of_zone) {
        Topology::NoneForHere
    } else {
        Topology::NotAllHinted
    }
}

impl Endpoint {
    const fn of_node(&self) -> Hint {
        self.node_hint
    }

    const fn of_zone(&self) -> Hint {
        self.zone_hint
    }
}

#[cfg(test)]
mod tests;
