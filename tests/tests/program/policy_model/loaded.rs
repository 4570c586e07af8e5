//! The programs in the kernel, on the tables of each node.

use aya::maps::{LpmTrie, lpm_trie};
use lab::policy::reference::node_of;
use lab::policy::{Connection, Protocol};
use proxy_common::addr::Addr;
use proxy_common::drop::Reason;
use proxy_common::tables::{self, Address, Block, FlowKey, FlowRecord, Identity, Rule, RuleKey, address_flags};
use proxy_user::plan::{PolicyImage, RulePrefix};

use super::cluster::Cluster;
use super::node::Node;
use super::{Asked, Judge};
use crate::bench::{Bench, NODE, Verdict, ip};
use crate::packet::{echo, sctp, tcp, udp};

/// Reasons of policy's own.
const DENIALS: [Reason; 3] = [Reason::PolicyEgress, Reason::PolicyIngress, Reason::UnknownPod];

/// Source ports of flows that come again, and of those that don't.
const KNOWN: u16 = 20_000;
const FRESH: u16 = 30_000;

/// A node for each that a cluster may have.
pub(super) struct Loaded {
    nodes: Vec<LoadedNode>,
    /// The source port of the next flow that nobody saw before.
    fresh: u16,
}

struct LoadedNode {
    bench: Bench,
    addresses: Vec<Addr>,
    held: PolicyImage,
    denied: u64,
}

impl Default for Loaded {
    fn default() -> Self {
        let node = |_| {
            let addresses = NODE.into_iter().map(ip).collect();
            LoadedNode { bench: Bench::new(), addresses, held: PolicyImage::default(), denied: 0 }
        };
        Self { nodes: (0..2).map(node).collect(), fresh: 0 }
    }
}

impl Judge for Loaded {
    fn begin(&mut self) {
        self.nodes.iter_mut().for_each(LoadedNode::forget_flows);
    }

    fn update(&mut self, cluster: &Cluster) -> Result<(), String> {
        self.nodes.iter_mut().zip(&cluster.nodes).for_each(|(loaded, node)| loaded.update(node));
        Ok(())
    }

    fn judge(&mut self, cluster: &Cluster, asked: &Asked) -> Result<(), String> {
        // An echo request of one end is the answer to the other's, as far as addresses tell.
        if asked.connection.protocol == Protocol::Other {
            self.begin();
        }
        self.fresh = if self.fresh < 20_000 { self.fresh + 1 } else { 1 };
        for (loaded, node) in self.nodes.iter_mut().zip(&cluster.nodes) {
            let way = Way::of(node, asked);
            for program in way.programs {
                // One that is new, and one that may have begun before the last change.
                let known = KNOWN + asked.number as u16;
                for source_port in [FRESH + self.fresh, known] {
                    loaded
                        .pass(program, &frame(asked.connection, source_port), way.from_node, way.passes)
                        .map_err(|what| format!("{} at {program} from port {source_port}: {what}", node.name))?;
                }
            }
        }
        Ok(())
    }
}

/// Where a connection's first packet meets a node, and what is to become of it there.
struct Way {
    programs: &'static [&'static str],
    from_node: bool,
    passes: bool,
}

impl Way {
    fn of(node: &Node, asked: &Asked) -> Self {
        let Connection { from, to, .. } = asked.connection;
        let is_here = |end| node_of(asked.objects, end) == Some(&node.name) && !node.addresses.contains(&end);
        let (egress, ingress) = (asked.expected.egress.is_allowed(), asked.expected.ingress.is_allowed());
        let (from_node, programs, passes): (_, &[_], _) = match (is_here(from), is_here(to)) {
            (true, true) => (false, &["from_pod"], egress && ingress),
            (true, false) => (false, &["from_pod"], egress),
            (false, true) if node.addresses.contains(&from) => (true, &["to_pod"], true),
            (false, true) => (false, &["from_uplink", "to_pod"], ingress),
            (false, false) => (false, &[], true),
        };
        Self { programs, from_node, passes }
    }
}

impl LoadedNode {
    /// Makes the tables those of `node`.
    fn update(&mut self, node: &Node) {
        let addresses: Vec<Addr> = node.addresses.iter().map(|ip| Addr::from(*ip)).collect();
        for old in self.addresses.iter().filter(|old| !addresses.contains(old)) {
            self.bench.map::<Addr, Address>(tables::ADDRESSES).remove(old).unwrap();
        }
        for new in addresses.iter().filter(|new| !self.addresses.contains(new)) {
            self.bench.put(tables::ADDRESSES, *new, Address { flags: address_flags::NODE | address_flags::NODE_PORT });
        }
        self.addresses = addresses;
        let (old, new) = (std::mem::take(&mut self.held), node.plan.image().clone());
        self.write_rules(&old, &new);
        self.write_addresses(&old, &new);
        self.bench.generation(new.generation);
        self.bench.pod_network(new.pod_network);
        self.held = new;
    }

    fn write_rules(&mut self, old: &PolicyImage, new: &PolicyImage) {
        let mut rules: LpmTrie<_, RuleKey, Rule> = self.bench.any_map(tables::RULES).try_into().unwrap();
        let key = |prefix: &RulePrefix| lpm_trie::Key::new(prefix.bits, prefix.key);
        for prefix in old.rules.keys().filter(|prefix| !new.rules.contains_key(prefix)) {
            rules.remove(&key(prefix)).unwrap();
        }
        for (prefix, rule) in new.rules.iter().filter(|(prefix, rule)| old.rules.get(prefix) != Some(rule)) {
            rules.insert(&key(prefix), rule, 0).unwrap();
        }
    }

    fn write_addresses(&mut self, old: &PolicyImage, new: &PolicyImage) {
        let mut identities = self.bench.map::<Addr, Identity>(tables::IDENTITIES);
        for addr in old.identities.keys().filter(|addr| !new.identities.contains_key(addr)) {
            identities.remove(addr).unwrap();
        }
        for (addr, identity) in &new.identities {
            identities.insert(addr, identity, 0).unwrap();
        }
        let mut blocks: LpmTrie<_, Addr, Block> = self.bench.any_map(tables::BLOCKS).try_into().unwrap();
        for prefix in old.blocks.keys().filter(|prefix| !new.blocks.contains_key(prefix)) {
            blocks.remove(&lpm_trie::Key::new(prefix.bits, prefix.addr)).unwrap();
        }
        for (prefix, block) in &new.blocks {
            blocks.insert(&lpm_trie::Key::new(prefix.bits, prefix.addr), block, 0).unwrap();
        }
    }

    fn forget_flows(&mut self) {
        for table in [tables::FLOWS, tables::FLOWS_NEW] {
            let mut flows = self.bench.map::<FlowKey, FlowRecord>(table);
            let keys: Vec<_> = flows.keys().map(Result::unwrap).collect();
            for key in &keys {
                flows.remove(key).unwrap();
            }
        }
    }

    /// Runs a packet through a program, and holds what becomes of it to what should.
    fn pass(&mut self, program: &str, frame: &[u8], from_node: bool, passes: bool) -> Result<(), String> {
        let run = if from_node { Bench::run } else { Bench::run_forwarded };
        let (verdict, _) = run(&mut self.bench, program, frame);
        match (verdict, passes) {
            (Verdict::Next | Verdict::Redirect, true) => Ok(()),
            (Verdict::Drop, false) if self.counts_denial() => Ok(()),
            _ => Err(format!("{verdict:?}")),
        }
    }

    /// Whether a packet more was denied than when this was asked last: not dropped for whatever else.
    fn counts_denial(&mut self) -> bool {
        let denied = DENIALS.iter().map(|reason| self.bench.drops(*reason)).sum();
        std::mem::replace(&mut self.denied, denied) + 1 == denied
    }
}

/// The first packet of a connection.
fn frame(connection: Connection, source_port: u16) -> Vec<u8> {
    let Connection { from, to, protocol, port } = connection;
    let (src, dst) = ((from, source_port).into(), (to, port).into());
    let [src, dst] = [src, dst].map(|socket: std::net::SocketAddr| socket.to_string());
    match protocol {
        Protocol::Tcp => tcp(&src, &dst, "S"),
        Protocol::Udp => udp(&src, &dst, b"hello"),
        Protocol::Sctp => sctp(&src, &dst, 1, b""),
        Protocol::Other => echo(&src, &dst),
    }
}
