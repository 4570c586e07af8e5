//! The chains of one family.
//!
//! ```text
//! FORWARD -> SLUICE-NP           what belongs to a flow that passed; then who sent it, who sent it by which rules,
//!            |                   and who gets it by which rules
//!            |- -GUARD           a pod's interface, and the addresses its pod has
//!            |- -EGRESS          => -FROM-<pod>  => -OUT-<set>
//!            `- -INGRESS         => -TO-<pod>    => -IN-<set>
//! INPUT -> SLUICE-NP-INPUT       nobody knows the pod; what is known may always reach its node
//! ```
//!
//! `=>` goes there and doesn't come back: what a set's chain returns goes on after the jump in `SLUICE-NP`. What it
//! doesn't return ends there.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use proxy_common::addr::{Addr, Family};
use proxy_common::policy::EVERYBODY;
use proxy_common::tables::{Identity, Policing, pod_network_flags};

use super::end::Direction;
use super::ports::matches;
use super::set::Set;
use super::{FORWARD, INPUT, NAMES};
use crate::plan::{PolicyImage, RulePrefix};

/// Chains by name, each with its rules as `iptables-save` prints them.
pub type Chains = BTreeMap<String, Vec<String>>;

/// What the chains are made of.
pub(super) struct Source<'a> {
    pub(super) image: &'a PolicyImage,
    /// The addresses of this node's pods.
    pub(super) local: &'a BTreeSet<Addr>,
    /// Names of pods' interfaces, by index.
    pub(super) pods: &'a BTreeMap<u32, String>,
    /// The sender of what is denied is told.
    pub(super) reject: bool,
}

/// The chains, and the sets they ask.
#[derive(Default)]
pub(super) struct Rendered {
    pub(super) chains: Chains,
    pub(super) sets: BTreeSet<Set>,
}

pub(super) fn render(source: &Source<'_>, family: Family) -> Rendered {
    let mut rendered = Rendered::default();
    let chain = |name: &str| format!("{NAMES}-{name}");
    let (guard, egress, ingress) = (chain("GUARD"), chain(Direction::Egress.name()), chain(Direction::Ingress.name()));
    for chain in [FORWARD, INPUT] {
        rendered.rule(chain, "-m conntrack --ctstate RELATED,ESTABLISHED -j RETURN");
    }
    if family == Family::V6 {
        // Neighbour discovery, which two pods of one bridge do through here: no flow, so nothing tracks it.
        rendered.rule(FORWARD, "-p ipv6-icmp -m conntrack --ctstate UNTRACKED -j RETURN");
    }
    rendered.rule(FORWARD, &format!("-j {guard}"));
    rendered.hold_unknown(source, family);
    rendered.rule(FORWARD, &format!("-j {egress}"));
    rendered.rule(FORWARD, &format!("-j {ingress}"));
    rendered.guard(source, family, &guard);
    for direction in [Direction::Egress, Direction::Ingress] {
        rendered.pods(source, family, direction);
    }
    rendered
}

impl Rendered {
    fn begin(&mut self, chain: &str) {
        self.chains.entry(chain.to_owned()).or_default();
    }

    fn rule(&mut self, chain: &str, rule: &str) {
        self.chains.entry(chain.to_owned()).or_default().push(format!("-A {chain} {rule}"));
    }

    /// A pod whose addresses are known sends under no other.
    fn guard(&mut self, source: &Source<'_>, family: Family, chain: &str) {
        self.begin(chain);
        let mut addresses: BTreeMap<&str, Vec<Addr>> = BTreeMap::new();
        for (addr, identity) in identities(source) {
            if let Some(name) = source.pods.get(&identity.ifindex) {
                addresses.entry(name).or_default().push(addr);
            }
        }
        for (interface, addresses) in addresses {
            for addr in addresses.iter().filter(|addr| addr.family() == family) {
                self.rule(chain, &format!("-s {} -i {interface} -j RETURN", host(addr)));
            }
            self.rule(chain, &format!("-i {interface} -j DROP"));
        }
    }

    /// An address of the node's pod ranges that no pod is known to have is neither served nor heard.
    fn hold_unknown(&mut self, source: &Source<'_>, family: Family) {
        let network = &source.image.pod_network;
        let (addr, mask) = match family {
            Family::V4 => (network.ipv4, network.ipv4_mask),
            Family::V6 => (network.ipv6, network.ipv6_mask),
        };
        if network.flags & pod_network_flags::HOLD_UNKNOWN == 0 || mask == Addr::default() {
            return;
        }
        let known = Set::Known(family);
        let bits: u32 = mask.words().iter().map(|word| word.count_ones()).sum();
        let range = format!("{addr}/{}", if family == Family::V4 { bits.saturating_sub(96) } else { bits });
        let unknown = |end| format!("-m set ! --match-set {known} {end} -j DROP");
        self.rule(FORWARD, &format!("-s {range} {}", unknown("src")));
        self.rule(FORWARD, &format!("-d {range} {}", unknown("dst")));
        // The node may have an address of the range itself.
        self.rule(INPUT, &format!("-s {range} ! -i lo {}", unknown("src")));
        self.sets.insert(known);
    }

    /// The chains of isolated pods in a direction, and of their sets. An audit lets everything pass.
    fn pods(&mut self, source: &Source<'_>, family: Family, direction: Direction) {
        let dispatch = format!("{NAMES}-{}", direction.name());
        self.begin(&dispatch);
        let mut sets = BTreeSet::new();
        for (addr, identity) in identities(source).filter(|(addr, _)| addr.family() == family) {
            let set = direction.set(identity.at(source.image.generation));
            if set == 0 || set & Policing::AUDIT != 0 {
                continue;
            }
            let (pod, host) = (direction.pod_chain(&addr), host(&addr));
            self.rule(&dispatch, &format!("{} {host} -g {pod}", direction.pod().option()));
            // A pod can't keep itself out.
            self.rule(&pod, &format!("{} {host} -j RETURN", direction.peer().option()));
            self.rule(&pod, &format!("-g {}", direction.set_chain(set)));
            sets.insert(set);
        }
        for set in sets {
            self.set(source, family, direction, set);
        }
    }

    /// What a set allows returns, the rest ends here.
    fn set(&mut self, source: &Source<'_>, family: Family, direction: Direction, set: u32) {
        let chain = direction.set_chain(set);
        self.begin(&chain);
        let mut classes: BTreeMap<u32, Vec<RulePrefix>> = BTreeMap::new();
        for (rule, _) in source.image.rules_of_set(set) {
            classes.entry(rule.key.class).or_default().push(*rule);
        }
        for (class, rules) in classes {
            let peers = if class == EVERYBODY {
                String::new()
            } else {
                let peers = Set::Class(family, class);
                self.sets.insert(peers);
                format!("-m set --match-set {peers} {} ", direction.peer().flag())
            };
            for it in matches(rules.into_iter()) {
                self.rule(&chain, &format!("{}{peers}{}-j RETURN", it.protocol(), it.ports()));
            }
        }
        if source.reject {
            self.rule(&chain, "-p tcp -j REJECT --reject-with tcp-reset");
            self.rule(&chain, &format!("-j REJECT --reject-with {}", prohibited(family)));
        } else {
            self.rule(&chain, "-j DROP");
        }
    }
}

fn identities<'a>(source: &'a Source<'_>) -> impl Iterator<Item = (Addr, &'a Identity)> {
    source.local.iter().filter_map(|addr| Some((*addr, source.image.identities.get(addr)?)))
}

/// The address as a network of its own.
fn host(addr: &Addr) -> String {
    match IpAddr::from(*addr) {
        IpAddr::V4(ip) => format!("{ip}/32"),
        IpAddr::V6(ip) => format!("{ip}/128"),
    }
}

const fn prohibited(family: Family) -> &'static str {
    match family {
        Family::V4 => "icmp-admin-prohibited",
        Family::V6 => "icmp6-adm-prohibited",
    }
}
