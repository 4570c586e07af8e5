//! The rules of iptables that are made of the tables, followed as netfilter follows them.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnetwork::IpNetwork;
use lab::policy::Connection;
use proxy_common::addr::Family;
use proxy_user::dataplane::iptables::policies::{Chains, FORWARD, INPUT, Members, PolicyRules, Set};

use super::cluster::Cluster;
use super::node::Node;
use super::plain::number;
use super::{Asked, Judge};

/// The rules of each node by its name, and its sets as the changes left them.
#[derive(Default)]
pub(super) struct Rules(BTreeMap<String, (PolicyRules, BTreeMap<Set, Members>)>);

const FAMILIES: [Family; 2] = [Family::V4, Family::V6];

impl Judge for Rules {
    fn begin(&mut self) {
        self.0.clear();
    }

    fn update(&mut self, cluster: &Cluster) -> Result<(), String> {
        for node in &cluster.nodes {
            let fresh = PolicyRules::of(&FAMILIES, false, node.plan.image(), &BTreeMap::new());
            let (rules, sets) = self.0.entry(node.name.clone()).or_insert_with(|| {
                let none =
                    PolicyRules::of(&FAMILIES, false, &proxy_user::plan::PolicyImage::default(), &BTreeMap::new());
                (none, BTreeMap::new())
            });
            for (set, edits) in rules.update(node.plan.image(), &node.writes, &BTreeMap::new()) {
                let members = sets.entry(set).or_default();
                for (network, change) in edits {
                    match change {
                        Some(holds) => drop(members.insert(network, holds)),
                        None => drop(members.remove(&network)),
                    }
                }
            }
            if *rules != fresh {
                return Err(format!(
                    "{}: not the rules of an agent that starts now:\n{rules:#?}\n{fresh:#?}",
                    node.name
                ));
            }
            for (set, members) in rules.sets() {
                let changed = sets.get(&set).cloned().unwrap_or_default();
                if changed != *members {
                    return Err(format!("{}: {set} has {changed:?} after the changes, not {members:?}", node.name));
                }
            }
        }
        Ok(())
    }

    fn judge(&mut self, cluster: &Cluster, asked: &Asked) -> Result<(), String> {
        let Asked { connection, expected, .. } = asked;
        let denied: Vec<_> = cluster.nodes.iter().filter(|node| self.denies(node, *connection)).collect();
        if denied.is_empty() == expected.is_allowed() {
            return Ok(());
        }
        let names: Vec<_> = denied.iter().map(|node| &node.name).collect();
        Err(format!("denied by {names:?}"))
    }
}

impl Rules {
    fn denies(&self, node: &Node, connection: Connection) -> bool {
        let (rules, _) = &self.0[&node.name];
        let family = if connection.from.is_ipv4() { Family::V4 } else { Family::V6 };
        let sets = rules.sets().map(|(set, members)| (set.to_string(), members)).collect();
        let packet = Packet { connection, chains: rules.chains(family), sets };
        let chain = match () {
            // What the node sends comes to no chain of ours.
            () if node.addresses.contains(&connection.from) => return false,
            () if node.addresses.contains(&connection.to) => INPUT,
            () => FORWARD,
        };
        packet.is_dropped_in(chain)
    }
}

/// The first packet of a connection, which comes by some interface of no pod, and what it meets.
struct Packet<'a> {
    connection: Connection,
    chains: &'a Chains,
    sets: BTreeMap<String, &'a Members>,
}

impl Packet<'_> {
    /// Whether it ends in a chain; else that returns.
    fn is_dropped_in(&self, chain: &str) -> bool {
        for rule in &self.chains[chain] {
            let mut words = rule.split(' ').skip(2);
            if !self.meets(&mut words) {
                continue;
            }
            return match (words.next(), words.next()) {
                (Some("-j"), Some("DROP" | "REJECT")) => true,
                (Some("-j"), Some("RETURN")) => false,
                (Some("-g"), Some(next)) => self.is_dropped_in(next),
                (Some("-j"), Some(next)) if !self.is_dropped_in(next) => continue,
                (Some("-j"), Some(_)) => true,
                other => panic!("{rule}: {other:?}"),
            };
        }
        false
    }

    /// Whether all matches of a rule are met; leaves what comes after them.
    fn meets<'r>(&self, words: &mut (impl Iterator<Item = &'r str> + Clone)) -> bool {
        let Connection { from, to, protocol, port } = self.connection;
        let mut expected = true;
        while let Some(word) = words.clone().next().filter(|word| !matches!(*word, "-j" | "-g")) {
            words.next();
            let mut value = || words.next().unwrap();
            let met = match word {
                "!" => {
                    expected = false;
                    continue;
                }
                "-m" => {
                    value();
                    continue;
                }
                "-s" => value().parse::<IpNetwork>().unwrap().contains(from),
                "-d" => value().parse::<IpNetwork>().unwrap().contains(to),
                "-p" => value() == name(number(protocol)),
                "--dport" => {
                    let range = value();
                    let (first, last) = range.split_once(':').unwrap_or((range, range));
                    (first.parse().unwrap()..=last.parse().unwrap()).contains(&port)
                }
                "--ctstate" => value().split(',').any(|state| state == "NEW"),
                "-i" => value() == "eth0",
                "--match-set" => {
                    let set = self.sets[value()];
                    holds(set, if value() == "src" { from } else { to })
                }
                other => panic!("{other} is no match that is known"),
            };
            if met != expected {
                return false;
            }
            expected = true;
        }
        true
    }
}

/// As a set of type `hash:net` says: the longest network counts.
fn holds(members: &Members, ip: IpAddr) -> bool {
    let around = members.iter().filter(|(network, _)| network.contains(ip));
    around.max_by_key(|(network, _)| network.prefix()).is_some_and(|(_, holds)| *holds)
}

fn name(number: u8) -> &'static str {
    match number {
        6 => "tcp",
        17 => "udp",
        132 => "sctp",
        _ => "another",
    }
}
