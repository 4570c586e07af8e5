//! What rules allow, as entries of `RULES`.

use std::collections::BTreeMap;

use proxy_common::addr::Port;
use proxy_common::tables::{Rule, RuleKey};

use super::RulePrefix;
use crate::model::PortRange;

/// What a rule allows: all of it, or (`Some`) of each protocol (its number) all ports, or (`Some`) these.
pub(super) type Traffic = Option<Vec<(u16, Option<PortRange>)>>;

/// What some rules allow together, each thing with the first that does. Where one allows all of what others allow a part,
/// only that one is kept.
#[derive(Default, Debug)]
pub(super) struct Allowed {
    all: Option<Rule>,
    protocols: BTreeMap<u16, Ports>,
}

/// Of one protocol.
#[derive(Default, Debug)]
struct Ports {
    all: Option<Rule>,
    /// By first port: the last one, and by which rule. None overlaps another.
    ranges: BTreeMap<u16, (u16, Rule)>,
}

impl Allowed {
    /// What `rules` allow together that `already` doesn't.
    pub(super) fn by(rules: &[(Rule, Traffic)], already: &Self) -> Self {
        let mut allowed = Self::default();
        if already.all.is_some() {
            return allowed;
        }
        allowed.all = rules.iter().find(|(_, traffic)| traffic.is_none()).map(|(rule, _)| *rule);
        if allowed.all.is_some() {
            return allowed;
        }
        let of_rules =
            || rules.iter().flat_map(|(rule, traffic)| traffic.iter().flatten().map(|ports| (*rule, *ports)));
        let is_whole = |protocol: &u16| already.protocols.get(protocol).is_some_and(|ports| ports.all.is_some());
        for (rule, (protocol, range)) in of_rules() {
            if range.is_none() && !is_whole(&protocol) {
                allowed.protocols.entry(protocol).or_default().all.get_or_insert(rule);
            }
        }
        for (rule, (protocol, range)) in of_rules() {
            let Some(range) = range.filter(|_| !is_whole(&protocol)) else { continue };
            let ports = allowed.protocols.entry(protocol).or_default();
            if ports.all.is_none() {
                let left = already.protocols.get(&protocol).map_or_else(|| vec![range], |other| other.not_of(range));
                for range in left {
                    ports.add(range, rule);
                }
            }
        }
        allowed
    }

    /// As entries for what a set allows a class.
    pub(super) fn entries(&self, set: u32, class: u32) -> Vec<(RulePrefix, Rule)> {
        let entry = |protocol: u16, port: u16, bits: u32, rule: Rule| {
            (RulePrefix { key: RuleKey { set, class, protocol, port: Port::new(port) }, bits }, rule)
        };
        let mut entries: Vec<_> = self.all.map(|rule| entry(0, 0, RuleKey::ANY_PROTOCOL, rule)).into_iter().collect();
        for (protocol, ports) in &self.protocols {
            entries.extend(ports.all.map(|rule| entry(*protocol, 0, RuleKey::ANY_PORT, rule)));
            for (first, (last, rule)) in &ports.ranges {
                let prefixes = prefixes(PortRange { first: *first, last: *last });
                entries.extend(prefixes.map(|(port, bits)| entry(*protocol, port, RuleKey::ANY_PORT + bits, *rule)));
            }
        }
        entries
    }
}

impl Ports {
    fn add(&mut self, range: PortRange, rule: Rule) {
        for PortRange { first, last } in self.not_of(range) {
            self.ranges.insert(first, (last, rule));
        }
    }

    /// What of a range isn't in the ranges here.
    fn not_of(&self, range: PortRange) -> Vec<PortRange> {
        let mut left = Vec::new();
        // Numbers one wider than a port, so that what comes after the last port has one.
        let (mut next, end) = (u32::from(range.first), u32::from(range.last));
        let before = self.ranges.range(..range.first).next_back();
        let within = self.ranges.range(range.first..=range.last.max(range.first));
        for (first, (last, _)) in before.into_iter().chain(within) {
            if u32::from(*first) > next {
                left.push(PortRange { first: next as u16, last: first - 1 });
            }
            next = next.max(u32::from(*last) + 1);
        }
        if next <= end {
            left.push(PortRange { first: next as u16, last: range.last });
        }
        left
    }
}

/// A range as prefixes: first port and bits that count.
fn prefixes(range: PortRange) -> impl Iterator<Item = (u16, u32)> {
    let (mut next, end) = (u32::from(range.first), u32::from(range.last) + 1);
    std::iter::from_fn(move || {
        if next >= end {
            return None;
        }
        // As large as where it begins and what is left allow.
        let size = (1 << next.trailing_zeros().min(16)).min(1 << (end - next).ilog2());
        let prefix = (next as u16, 16 - u32::ilog2(size));
        next += size;
        Some(prefix)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rule(index: u32) -> Rule {
        Rule { policy: 1, index }
    }

    fn range(first: u16, last: u16) -> PortRange {
        PortRange { first, last }
    }

    fn find(entries: &[(RulePrefix, Rule)], protocol: u16, port: u16) -> Option<Rule> {
        let key = RuleKey { set: 1, class: 2, protocol, port: Port::new(port) };
        let holding = entries.iter().filter(|(prefix, _)| prefix.key.has_prefix_of(prefix.bits, &key));
        holding.max_by_key(|(prefix, _)| prefix.bits).map(|(_, rule)| *rule)
    }

    #[test]
    fn the_first_rule_that_allows_a_port_is_named() {
        let rules = [
            (rule(0), Some(vec![(6, Some(range(80, 90)))])),
            (rule(1), Some(vec![(6, Some(range(85, 100))), (17, Some(range(53, 53)))])),
        ];
        let entries = Allowed::by(&rules, &Allowed::default()).entries(1, 2);
        let found = [79, 80, 90, 91, 100, 101].map(|port| find(&entries, 6, port).map(|rule| rule.index));
        assert_eq!(found, [None, Some(0), Some(0), Some(1), Some(1), None]);
        assert_eq!(find(&entries, 17, 53), Some(rule(1)));
        assert_eq!(find(&entries, 17, 80), None);
    }

    #[test]
    fn what_a_wider_rule_allows_has_no_entry_of_its_own() {
        let port = || Some(vec![(6, Some(range(80, 80)))]);
        let all_ports = || Some(vec![(6, None)]);
        let entries = |rules: &[(Rule, Traffic)], already: &[(Rule, Traffic)]| {
            let already = Allowed::by(already, &Allowed::default());
            Allowed::by(rules, &already).entries(1, 2).len()
        };
        assert_eq!(entries(&[(rule(0), port()), (rule(1), None)], &[]), 1);
        assert_eq!(entries(&[(rule(0), port()), (rule(1), all_ports())], &[]), 1);
        assert_eq!(entries(&[(rule(0), port()), (rule(1), all_ports())], &[(rule(2), None)]), 0);
        assert_eq!(entries(&[(rule(0), port()), (rule(1), all_ports())], &[(rule(2), all_ports())]), 0);
        assert_eq!(entries(&[(rule(0), port()), (rule(1), all_ports())], &[(rule(2), port())]), 1);
        assert_eq!(entries(&[(rule(0), port())], &[(rule(2), port())]), 0);
    }

    #[test]
    fn all_port_numbers_are_one_prefix() {
        assert_eq!(prefixes(range(0, 65535)).collect::<Vec<_>>(), [(0, 0)]);
        assert_eq!(prefixes(range(65535, 65535)).collect::<Vec<_>>(), [(65535, 16)]);
    }

    proptest! {
        #[test]
        fn every_port_is_found_at_the_first_rule_that_allows_it(
            ranges in prop::collection::vec((any::<u16>(), any::<u16>()), 1..6),
            already in prop::collection::vec((any::<u16>(), any::<u16>()), 0..3),
            ports in prop::collection::vec(any::<u16>(), 20),
        ) {
            let rules = |ranges: &[(u16, u16)]| -> Vec<(Rule, Traffic)> {
                let ranges = ranges.iter().map(|(a, b)| range(*a.min(b), *a.max(b)));
                ranges.zip(0..).map(|(range, index)| (rule(index), Some(vec![(6, Some(range))]))).collect()
            };
            let first = |rules: &[(Rule, Traffic)], port: u16| {
                let holds = |(_, traffic): &&(Rule, Traffic)| {
                    traffic.iter().flatten().any(|(_, range)| range.is_some_and(|it| (it.first..=it.last).contains(&port)))
                };
                rules.iter().find(holds).map(|(rule, _)| *rule)
            };
            let (rules, already) = (rules(&ranges), rules(&already));
            let entries = Allowed::by(&rules, &Allowed::by(&already, &Allowed::default())).entries(1, 2);
            let edges = ranges.iter().flat_map(|(a, b)| [*a, *b, a.wrapping_sub(1), b.wrapping_add(1)]);
            for port in ports.into_iter().chain(edges) {
                let expected = if first(&already, port).is_some() { None } else { first(&rules, port) };
                prop_assert_eq!(find(&entries, 6, port), expected, "port {}", port);
            }
        }
    }
}
