//! What an address is to the policies in use.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::pods::PodEntry;
use super::{Direction, PeerId, Policies, PolicyMode, PolicyRef, PortName, Prefix, RulesId};
use crate::model::TargetPort;

/// All that rules can tell of an address. The empty one is everybody's.
pub(crate) type Class = BTreeSet<Atom>;

/// Something that a rule can tell of an address.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) enum Atom {
    /// It is this peer.
    Peer(PeerId),
    /// It is this peer's, or (`None`) anybody's, and a Pod's, and there the name means this number.
    Port(Option<PeerId>, PortName, u16),
}

/// What is allowed in one direction. Equal ones are the same set of rules.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct SetContent {
    /// Which direction.
    pub(crate) direction: Direction,
    /// The rules of each policy, in the order of their names.
    pub(crate) rules: Vec<RulesId>,
    /// What the named ports of ingress rules are on the Pod. A name that isn't there is no port.
    pub(crate) ports: BTreeMap<PortName, u16>,
}

/// A direction that some policy isolates.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Isolation {
    /// What is allowed.
    pub(crate) set: SetContent,
    /// All else is only reported.
    pub(crate) audit: bool,
}

/// A Pod's address.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Standing {
    /// The Pod is on this node.
    pub(crate) local: bool,
    /// Index of its interface; 0 while it isn't known.
    pub(crate) ifindex: u32,
    /// What it is as a peer.
    pub(crate) class: Class,
    /// What reaches it; `None`: all.
    pub(crate) ingress: Option<Isolation>,
    /// What it reaches; `None`: all.
    pub(crate) egress: Option<Isolation>,
}

impl Policies {
    /// What an address is. `None` for one of no Pod, and of a Pod elsewhere of which blocks tell everything.
    pub(crate) fn standing(&self, ip: IpAddr) -> Option<Standing> {
        let entry = self.pods.get(self.addresses.holder(ip)?)?;
        let mut peers = self.blocks.holding(ip.into());
        peers.extend(&entry.peers);
        let with = peers.iter().copied().map(Some).chain([None]);
        let ports: Vec<Atom> = with.flat_map(|peer| self.port_atoms(entry, peer)).collect();
        if !entry.local && entry.peers.is_empty() && ports.is_empty() {
            return None;
        }
        Some(Standing {
            local: entry.local,
            ifindex: self.interfaces.get(&ip).copied().filter(|_| entry.local).unwrap_or(0),
            class: peers.into_iter().map(Atom::Peer).chain(ports).collect(),
            ingress: self.isolation(entry, Direction::Ingress),
            egress: self.isolation(entry, Direction::Egress),
        })
    }

    /// The class of the addresses of a network that are no Pods'. `None` where it is that of the network around.
    pub(crate) fn class_of(&self, network: Prefix) -> Option<Class> {
        let has_border = self.blocks.has_border(network);
        has_border.then(|| self.blocks.holding(network).into_iter().map(Atom::Peer).collect())
    }

    fn port_atoms(&self, entry: &PodEntry, peer: Option<PeerId>) -> impl Iterator<Item = Atom> {
        let number = move |port: &PortName| Some(Atom::Port(peer, port.clone(), port_number(entry, port)?));
        self.peers.ports(peer).filter_map(number)
    }

    /// A direction is isolated as soon as one policy does so. An audited one isolates only where no other does.
    fn isolation(&self, entry: &PodEntry, direction: Direction) -> Option<Isolation> {
        let isolating = |audit: bool| -> Vec<RulesId> {
            let of_mode = entry.policies.iter().filter(|policy| self.is_audited(policy) == audit);
            of_mode.filter_map(|policy| self.by_name.get(policy)?.rules(direction)).collect()
        };
        let (rules, audit) = match isolating(false) {
            enforced if !enforced.is_empty() => (enforced, false),
            _ => (isolating(true), true),
        };
        let names = rules.iter().filter_map(|id| self.rules.get(id)).flat_map(|rules| &rules.port_names);
        let ports = match direction {
            Direction::Ingress => names.filter_map(|name| Some((name.clone(), port_number(entry, name)?))).collect(),
            Direction::Egress => BTreeMap::new(),
        };
        (!rules.is_empty()).then_some(Isolation { set: SetContent { direction, rules, ports }, audit })
    }

    fn is_audited(&self, policy: &PolicyRef) -> bool {
        self.mode == PolicyMode::Audit
            || self.namespaces.get(&policy.namespace).is_some_and(|namespace| namespace.audit)
            || self.by_name.get(policy).is_some_and(|entry| entry.policy.audit)
    }
}

/// What a named port is on a Pod.
pub(super) fn port_number(entry: &PodEntry, (name, protocol): &PortName) -> Option<u16> {
    entry.pod.resolve(&TargetPort::Name(name.clone()), *protocol)
}
