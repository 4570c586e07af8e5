//! How near the rules of a set came to allowing what they don't.

use std::collections::BTreeMap;

use proxy_common::addr::protocol;
use proxy_common::policy::{EVERYBODY, Question};
use proxy_common::tables::{Policing, Rule, RuleKey};

use super::explanation::{Near, Nearest};
use crate::cli::policies::Policies;

/// How many rules are told.
const TOLD: usize = 5;

/// Ports of a protocol that a rule allows; without one those of every protocol.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Ports {
    protocol: Option<u16>,
    first: u16,
    last: u16,
}

/// What the rule allows that is asked for.
#[derive(Default)]
struct Allowed {
    /// The peer, on these.
    to_peer: Vec<Ports>,
    /// The port, to others.
    port: bool,
}

/// The rules of `set` that come nearest to allowing a peer of `class` what is asked; `entries` are those of `RULES`.
pub(super) fn nearest(
    entries: &[(RuleKey, u32, Rule)],
    policies: &Policies,
    set: u32,
    class: u32,
    asked: &Question,
) -> Nearest {
    let mut rules = BTreeMap::<Rule, Allowed>::new();
    for (key, bits, rule) in entries.iter().filter(|(key, ..)| key.set == set & !Policing::AUDIT) {
        let allowed = rules.entry(*rule).or_default();
        let wanted = RuleKey { protocol: asked.protocol as u16, port: asked.port, ..*key };
        if key.class == class || key.class == EVERYBODY {
            allowed.to_peer.push(Ports::new(key, *bits));
        } else {
            allowed.port |= key.has_prefix_of(*bits, &wanted);
        }
    }
    let mut ranked: Vec<_> = rules.into_iter().map(|(rule, allowed)| (allowed.distance(), rule, allowed)).collect();
    ranked.sort_by_key(|(distance, rule, _)| (*distance, *rule));
    let near = |(_, rule, allowed): &(u8, Rule, Allowed)| {
        let rule = policies.rule(*rule);
        Near { message: format!("{rule} {}", allowed.told(asked)), rule }
    };
    Nearest { rules: ranked.iter().take(TOLD).map(near).collect(), others: ranked.len().saturating_sub(TOLD) }
}

impl Allowed {
    const fn distance(&self) -> u8 {
        match (self.to_peer.is_empty(), self.port) {
            (false, _) => 0,
            (true, true) => 1,
            (true, false) => 2,
        }
    }

    fn told(&self, asked: &Question) -> String {
        let wanted = port(asked);
        match (self.to_peer.is_empty(), self.port) {
            (false, _) => format!("allows this peer on {}, not on {wanted}", told(&self.to_peer)),
            (true, true) => format!("allows {wanted}, but not this peer"),
            (true, false) => format!("allows neither this peer nor {wanted}"),
        }
    }
}

/// Protocol and port that are asked for.
fn port(asked: &Question) -> String {
    let port = asked.port.number();
    Ports { protocol: Some(asked.protocol as u16), first: port, last: port }.to_string()
}

impl Ports {
    fn new(key: &RuleKey, bits: u32) -> Self {
        let all = Self { protocol: None, first: 0, last: u16::MAX };
        if bits <= RuleKey::ANY_PROTOCOL {
            return all;
        }
        // The port's bits that don't count.
        let free = u16::MAX.checked_shr(bits.saturating_sub(RuleKey::ANY_PORT)).unwrap_or(0);
        let port = key.port.number();
        Self { protocol: Some(key.protocol), first: port & !free, last: port | free }
    }
}

impl std::fmt::Display for Ports {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = self.protocol.map_or("every protocol", |it| u8::try_from(it).map_or("?", protocol::name));
        match (self.first, self.last) {
            (0, u16::MAX) => f.write_str(name),
            (first, last) if first == last => write!(f, "{name} {first}"),
            (first, last) => write!(f, "{name} {first}-{last}"),
        }
    }
}

/// A list for people: ranges that touch, as one.
fn told(ports: &[Ports]) -> String {
    let mut sorted = ports.to_vec();
    sorted.sort();
    let mut merged = Vec::<Ports>::new();
    for ports in sorted {
        match merged.last_mut() {
            Some(last) if last.protocol == ports.protocol && u32::from(ports.first) <= u32::from(last.last) + 1 => {
                last.last = last.last.max(ports.last);
            }
            _ => merged.push(ports),
        }
    }
    merged.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use proxy_common::addr::Port;

    use super::*;

    fn ports(protocol: u8, port: u16, bits: u32) -> Ports {
        Ports::new(&RuleKey { protocol: protocol.into(), port: Port::new(port), ..RuleKey::default() }, bits)
    }

    #[test]
    fn ports_of_every_prefix_are_told_as_ranges() {
        let of = |port, bits| ports(protocol::TCP, port, bits).to_string();
        assert_eq!(of(80, RuleKey::BITS), "TCP 80");
        assert_eq!(of(80, RuleKey::BITS - 1), "TCP 80-81");
        assert_eq!(of(32768, RuleKey::ANY_PORT + 1), "TCP 32768-65535");
        assert_eq!(of(0, RuleKey::ANY_PORT), "TCP");
        assert_eq!(of(0, RuleKey::ANY_PROTOCOL), "every protocol");
    }

    #[test]
    fn ranges_that_touch_are_one() {
        let bits = RuleKey::BITS;
        let several =
            [ports(protocol::TCP, 82, bits), ports(protocol::UDP, 83, bits), ports(protocol::TCP, 80, bits - 1)];
        assert_eq!(told(&several), "TCP 80-82, UDP 83");
        assert_eq!(told(&[ports(protocol::TCP, 0, RuleKey::ANY_PORT), ports(protocol::TCP, 65535, bits)]), "TCP");
        assert_eq!(told(&[ports(protocol::TCP, 80, bits), ports(protocol::TCP, 82, bits)]), "TCP 80, TCP 82");
    }
}
