//! Ports of rules: the table has prefixes, the rules have ranges.

use std::ops::RangeInclusive;

use proxy_common::addr::protocol;
use proxy_common::tables::RuleKey;

use crate::plan::RulePrefix;

/// What the rules of a set for one class match, as rules of iptables say it; in the order of protocols and ports.
pub(super) fn matches(rules: impl Iterator<Item = RulePrefix>) -> Vec<Match> {
    let mut matches: Vec<Match> = Vec::new();
    let mut rules: Vec<Match> = rules.map(|rule| Match::of(&rule)).collect();
    rules.sort_unstable_by_key(|it| (it.protocol, *it.ports.start()));
    for rule in rules {
        if rule.protocol.is_none() {
            return vec![rule];
        }
        match matches.last_mut() {
            Some(last) if last.reaches(&rule) => {
                last.ports = *last.ports.start()..=*last.ports.end().max(rule.ports.end());
            }
            _ => matches.push(rule),
        }
    }
    matches
}

/// A protocol, and ports of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Match {
    /// None: all protocols.
    protocol: Option<u8>,
    ports: RangeInclusive<u16>,
}

const ALL: RangeInclusive<u16> = 0..=u16::MAX;

impl Match {
    fn of(RulePrefix { key, bits }: &RulePrefix) -> Self {
        let protocol = (*bits >= RuleKey::ANY_PORT).then_some(key.protocol as u8);
        let shared = bits.saturating_sub(RuleKey::ANY_PORT);
        let beyond = u16::MAX.checked_shr(shared).unwrap_or(0);
        let first = key.port.number() & !beyond;
        Self { protocol, ports: if protocol.is_some() { first..=first | beyond } else { ALL } }
    }

    /// The other one begins in this one or right after it.
    fn reaches(&self, other: &Self) -> bool {
        self.protocol == other.protocol && *other.ports.start() <= self.ports.end().saturating_add(1)
    }

    /// The part of a rule before the peers, with a space after it.
    pub(super) fn protocol(&self) -> String {
        self.protocol.map(|number| format!("-p {} ", name(number))).unwrap_or_default()
    }

    /// The part of a rule after the peers, likewise.
    pub(super) fn ports(&self) -> String {
        let Some(protocol) = self.protocol.filter(|_| self.ports != ALL) else { return String::new() };
        let (name, first, last) = (name(protocol), self.ports.start(), self.ports.end());
        if first == last {
            return format!("-m {name} --dport {first} ");
        }
        format!("-m {name} --dport {first}:{last} ")
    }
}

/// As `iptables-save` has it. A policy knows three protocols (`NetworkPolicyPort.protocol`).
fn name(number: u8) -> String {
    match number {
        protocol::TCP => "tcp".to_owned(),
        protocol::UDP => "udp".to_owned(),
        protocol::SCTP => "sctp".to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use proxy_common::addr::Port;

    use super::*;

    fn prefix(protocol: u8, port: u16, bits: u32) -> RulePrefix {
        let key = RuleKey { set: 1, class: 2, protocol: protocol.into(), port: Port::new(port) };
        RulePrefix { key, bits }
    }

    fn text(rules: &[RulePrefix]) -> Vec<String> {
        let text = |it: &Match| format!("{}{}", it.protocol(), it.ports()).trim_end().to_owned();
        matches(rules.iter().copied()).iter().map(text).collect()
    }

    #[test]
    fn prefixes_that_meet_are_one_range() {
        let rules = [prefix(6, 90, 96), prefix(6, 80, 93), prefix(6, 88, 95), prefix(17, 53, 96), prefix(6, 443, 96)];
        assert_eq!(
            text(&rules),
            ["-p tcp -m tcp --dport 80:90", "-p tcp -m tcp --dport 443", "-p udp -m udp --dport 53"]
        );
    }

    #[test]
    fn all_ports_are_no_match_of_ports_and_all_protocols_no_match_at_all() {
        assert_eq!(text(&[prefix(6, 0, 80)]), ["-p tcp"]);
        assert_eq!(text(&[prefix(6, 0, 81), prefix(6, 32_768, 81)]), ["-p tcp"]);
        assert_eq!(text(&[prefix(6, 80, 96), prefix(0, 0, 64)]), [""]);
    }
}
