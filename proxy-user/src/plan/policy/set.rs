//! What one set of rules allows which class.

use std::collections::{BTreeSet, HashMap};

use proxy_common::tables::{Rule, SetPolicy};

use super::RulePrefix;
use super::allowed::{Allowed, Traffic};
use crate::model::{
    Atom, Class, Direction, PeerId, PolicyPort, PortMatch, PortName, PortRange, RulesInUse, SetContent,
};

/// What brings a class and a set together: something that one has and a rule of the other asks for.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) enum Mention {
    Peer(PeerId),
    /// A named port that everybody has.
    Port(PortName),
}

/// What a class has.
pub(super) fn mentions(class: &Class) -> impl Iterator<Item = Mention> {
    class.iter().filter_map(|atom| match atom {
        Atom::Peer(peer) => Some(Mention::Peer(*peer)),
        Atom::Port(None, name, _) => Some(Mention::Port(name.clone())),
        // Whoever has it is that peer.
        Atom::Port(Some(_), ..) => None,
    })
}

/// The rules of a set.
#[derive(Debug)]
pub(super) struct Set {
    number: u32,
    rules: Vec<SetRule>,
    by_mention: HashMap<Mention, Vec<usize>>,
    everybody: Allowed,
    policies: BTreeSet<u32>,
}

#[derive(Debug)]
struct SetRule {
    rule: Rule,
    peers: Option<BTreeSet<PeerId>>,
    /// What it allows whatever the peer; what it allows by the peer's named ports.
    traffic: Traffic,
    names: Vec<PortName>,
}

impl Set {
    /// From the `rules` that `content` names, each with the number of its policy.
    pub(super) fn new<'a>(
        number: u32,
        content: &SetContent,
        rules: impl Iterator<Item = (u32, &'a RulesInUse)>,
    ) -> Self {
        let mut it = Self {
            number,
            rules: Vec::new(),
            by_mention: HashMap::new(),
            everybody: Allowed::default(),
            policies: BTreeSet::new(),
        };
        for (policy, in_use) in rules {
            it.policies.insert(policy);
            let flag = if in_use.direction == Direction::Egress { Rule::EGRESS } else { 0 };
            for (index, rule) in (0..).zip(&in_use.rules) {
                let (traffic, names) = traffic(rule.ports.as_deref(), content);
                let rule =
                    SetRule { rule: Rule { policy, index: index | flag }, peers: rule.peers.clone(), traffic, names };
                it.add(rule);
            }
        }
        let everybodys = it.rules.iter().filter(|rule| rule.peers.is_none());
        let everybodys: Vec<_> = everybodys.map(|rule| (rule.rule, rule.traffic.clone())).collect();
        it.everybody = Allowed::by(&everybodys, &Allowed::default());
        it
    }

    fn add(&mut self, rule: SetRule) {
        let mentions: Vec<Mention> = match &rule.peers {
            Some(peers) => peers.iter().copied().map(Mention::Peer).collect(),
            None => rule.names.iter().cloned().map(Mention::Port).collect(),
        };
        for mention in mentions {
            self.by_mention.entry(mention).or_default().push(self.rules.len());
        }
        self.rules.push(rule);
    }

    /// What its rules ask for.
    pub(super) fn mentions(&self) -> impl Iterator<Item = Mention> {
        self.by_mention.keys().cloned()
    }

    /// The policies it is made of.
    pub(super) fn policies(&self) -> impl Iterator<Item = SetPolicy> {
        self.policies.iter().map(|policy| SetPolicy { set: self.number, policy: *policy })
    }

    /// What it allows everybody.
    pub(super) fn entries_of_everybody(&self) -> Vec<(RulePrefix, Rule)> {
        self.everybody.entries(self.number, proxy_common::policy::EVERYBODY)
    }

    /// What it allows a class beyond that.
    pub(super) fn entries(&self, number: u32, class: &Class) -> Vec<(RulePrefix, Rule)> {
        let rules: BTreeSet<usize> =
            mentions(class).filter_map(|mention| self.by_mention.get(&mention)).flatten().copied().collect();
        let rules: Vec<_> = rules.into_iter().map(|at| self.rules[at].for_class(class)).collect();
        Allowed::by(&rules, &self.everybody).entries(self.number, number)
    }
}

impl SetRule {
    /// What it allows a class that has something it asks for.
    fn for_class(&self, class: &Class) -> (Rule, Traffic) {
        let is_ours = |peer: &Option<PeerId>| match (&self.peers, peer) {
            (Some(peers), Some(peer)) => peers.contains(peer),
            (peers, peer) => peers.is_none() && peer.is_none(),
        };
        let named = class.iter().filter_map(|atom| match atom {
            Atom::Port(peer, name, number) if is_ours(peer) && self.names.contains(name) => Some(single(name, *number)),
            _ => None,
        });
        // Everybody's rules are allowed everybody but for the names.
        let traffic = if self.peers.is_none() { Some(Vec::new()) } else { self.traffic.clone() };
        (self.rule, traffic.map(|ports| ports.into_iter().chain(named).collect()))
    }
}

/// What ports mean without knowing the peer, and the names that only a peer gives a meaning to.
fn traffic(ports: Option<&[PolicyPort]>, content: &SetContent) -> (Traffic, Vec<PortName>) {
    let Some(ports) = ports else { return (None, Vec::new()) };
    let (mut numbers, mut names) = (Vec::new(), Vec::new());
    for port in ports {
        let protocol = u16::from(port.protocol.number());
        match &port.port {
            PortMatch::All => numbers.push((protocol, None)),
            PortMatch::Range(range) => numbers.push((protocol, Some(*range))),
            PortMatch::Name(name) => {
                let name = (name.clone(), port.protocol);
                match content.direction {
                    Direction::Ingress => numbers.extend(content.ports.get(&name).map(|it| single(&name, *it))),
                    Direction::Egress => names.push(name),
                }
            }
        }
    }
    (Some(numbers), names)
}

fn single((_, protocol): &PortName, number: u16) -> (u16, Option<PortRange>) {
    (protocol.number().into(), Some(PortRange { first: number, last: number }))
}
