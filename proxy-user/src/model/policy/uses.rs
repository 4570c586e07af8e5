//! Which rules and peers are in use: those of policies that select some Pod of this node.

use std::collections::BTreeSet;

use ipnetwork::IpNetwork;

use super::pods::PodId;
use super::policies::PolicyEntry;
use super::standing::port_number;
use super::{Direction, Peer, PeerId, PeerRule, Policies, PolicyPort, PolicyRule, PortName, Prefix, RulesInUse};

impl Policies {
    /// A policy begins to select some Pod of this node.
    pub(super) fn begin_use(&mut self, entry: &PolicyEntry) {
        for direction in Direction::ALL {
            let (Some(id), Some(rules)) = (entry.rules(direction), entry.policy.rules(direction)) else { continue };
            if let Some(in_use) = self.rules.get_mut(&id) {
                in_use.uses += 1;
                continue;
            }
            let peer_rules = rules.iter().map(|rule| self.begin_rule(rule, direction)).collect();
            let ports = rules.iter().flat_map(|rule| rule.ports.iter().flatten());
            let port_names = ports.filter_map(PolicyPort::name).collect();
            let policy = entry.policy.policy_ref();
            self.rules.insert(id, RulesInUse { policy, direction, rules: peer_rules, port_names, uses: 1 });
        }
    }

    /// A policy selects none of them any more.
    pub(super) fn end_use(&mut self, entry: &PolicyEntry) {
        for direction in Direction::ALL {
            let Some(id) = entry.rules(direction) else { continue };
            let Some(in_use) = self.rules.get_mut(&id) else { continue };
            in_use.uses -= 1;
            if in_use.uses == 0
                && let Some(rules) = self.rules.remove(&id)
            {
                rules.rules.iter().for_each(|rule| self.end_rule(rule, direction));
            }
        }
    }

    fn begin_rule(&mut self, rule: &PolicyRule, direction: Direction) -> PeerRule {
        let peers: Option<BTreeSet<Peer>> = rule.peers.as_ref().map(|peers| peers.iter().cloned().collect());
        let peers = peers.map(|peers| peers.iter().map(|peer| self.begin_peer(peer)).collect::<BTreeSet<PeerId>>());
        let rule = PeerRule { peers, ports: rule.ports.clone() };
        for (peer, port) in egress_ports(&rule, direction) {
            if self.peers.acquire_port(peer, &port) {
                self.look_at_port(peer, &port);
            }
        }
        rule
    }

    fn end_rule(&mut self, rule: &PeerRule, direction: Direction) {
        for (peer, port) in egress_ports(rule, direction) {
            if self.peers.release_port(peer, &port) {
                self.look_at_port(peer, &port);
            }
        }
        for id in rule.peers.iter().flatten() {
            self.end_peer(*id);
        }
    }

    fn begin_peer(&mut self, peer: &Peer) -> PeerId {
        let (id, first) = self.peers.acquire(peer);
        if first {
            match peer {
                Peer::Pods { namespaces, pods } => {
                    for pod in self.pods.selected_by(&self.namespaces, namespaces, pods) {
                        self.peers.add_pod(id, pod);
                        if let Some(entry) = self.pods.get_mut(pod) {
                            entry.peers.insert(id);
                        }
                        self.look_at(pod);
                    }
                }
                Peer::Block { cidr, except } => {
                    self.blocks.insert(id, networks(*cidr, except));
                    self.look_at_network(*cidr);
                }
            }
        }
        id
    }

    fn end_peer(&mut self, id: PeerId) {
        let Some((peer, pods)) = self.peers.release(id) else { return };
        for pod in pods {
            if let Some(entry) = self.pods.get_mut(pod) {
                entry.peers.remove(&id);
            }
            self.look_at(pod);
        }
        if let Peer::Block { cidr, except } = peer {
            let networks = networks(cidr, &except);
            self.changes.networks.extend(networks.iter().copied().map(Prefix::from));
            for (id, networks) in self.blocks.remove(id, &networks) {
                let cidr = networks[0];
                self.blocks.insert(id, networks);
                self.look_at_network(cidr);
            }
            self.look_at_network(cidr);
        }
    }

    /// Which blocks hold the addresses of a network has changed.
    fn look_at_network(&mut self, network: IpNetwork) {
        let prefix = Prefix::from(network);
        self.changes.networks.extend(self.blocks.borders_within(prefix).chain([prefix, Prefix::all_ipv4()]));
        self.changes.addresses.extend(self.addresses.within(network));
    }

    /// Whether it matters what a named port is on the Pods that `peer` is, or on all, has changed.
    fn look_at_port(&mut self, peer: Option<PeerId>, port: &PortName) {
        let pods: Vec<PodId> = if let Some(id) = peer {
            if let Some(Peer::Block { cidr, .. }) = self.peers.get(id) {
                return self.changes.addresses.extend(self.addresses.within(*cidr));
            }
            self.peers.pods(id).collect()
        } else {
            let has_port = self.pods.iter().filter(|(_, entry)| port_number(entry, port).is_some());
            has_port.map(|(id, _)| id).collect()
        };
        for pod in pods {
            self.look_at(pod);
        }
    }
}

/// A block's CIDR and excepts.
fn networks(cidr: IpNetwork, except: &[IpNetwork]) -> Vec<IpNetwork> {
    std::iter::once(cidr).chain(except.iter().copied()).collect()
}

/// The named ports of an egress rule, with each of its peers. Those of ingress rules are found on the Pod they isolate.
fn egress_ports(rule: &PeerRule, direction: Direction) -> Vec<(Option<PeerId>, PortName)> {
    let names = rule.ports.iter().flatten().filter_map(PolicyPort::name);
    let names: BTreeSet<PortName> = if direction == Direction::Egress { names.collect() } else { BTreeSet::new() };
    let with = |peer: Option<PeerId>| names.iter().map(move |name| (peer, name.clone()));
    match &rule.peers {
        Some(peers) => peers.iter().flat_map(|peer| with(Some(*peer))).collect(),
        None => with(None).collect(),
    }
}
