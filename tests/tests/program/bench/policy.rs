//! Policies on the bench.

use aya::maps::lpm_trie::{Key, LpmTrie};
use aya::maps::{Array, PerCpuHashMap};
use proxy_common::addr::{Addr, Port};
use proxy_common::tables::{
    self, Block, Identity, PodNetwork, Policing, Rule, RuleKey, identity_flags, pod_network_flags,
};

use super::{Bench, Verdict, ip};

/// The interface that a test run's packets are on; pods are behind it.
pub(crate) const HERE: u32 = 1;

impl Bench {
    /// Has policies in force, in a generation.
    pub(crate) fn generation(&mut self, generation: u32) {
        self.pod_network(PodNetwork { flags: pod_network_flags::POLICED, ..PodNetwork::default() });
        let map = self.ebpf.map_mut(tables::POLICY_GENERATION.name).unwrap();
        Array::<_, u32>::try_from(map).unwrap().set(0, generation, 0).unwrap();
    }

    pub(crate) fn pod_network(&mut self, network: PodNetwork) {
        let map = self.ebpf.map_mut(tables::POD_NETWORK.name).unwrap();
        Array::<_, PodNetwork>::try_from(map).unwrap().set(0, network, 0).unwrap();
    }

    /// A pod of the node, behind the interface [`HERE`].
    pub(crate) fn pod(&mut self, addr: &str, policing: Policing) {
        self.pod_at(addr, HERE, policing);
    }

    /// A pod of the node, behind another interface.
    pub(crate) fn pod_at(&mut self, addr: &str, ifindex: u32, policing: Policing) {
        let identity =
            Identity { flags: identity_flags::LOCAL, ifindex, last: policing, next: policing, ..Identity::default() };
        self.put(tables::IDENTITIES, ip(addr), identity);
    }

    /// A pod elsewhere.
    pub(crate) fn peer(&mut self, addr: &str, class: u32) {
        let policing = Policing { class, ..Policing::default() };
        let identity = Identity { last: policing, next: policing, ..Identity::default() };
        self.put(tables::IDENTITIES, ip(addr), identity);
    }

    /// The class of a network.
    pub(crate) fn block(&mut self, addr: &str, bits: u32, class: u32) {
        let addr = ip(addr);
        let before = if matches!(addr.family(), proxy_common::addr::Family::V4) { 96 } else { 0 };
        let map = self.ebpf.map_mut(tables::BLOCKS.name).unwrap();
        let mut blocks: LpmTrie<_, Addr, Block> = LpmTrie::try_from(map).unwrap();
        blocks.insert(&Key::new(before + bits, addr), Block { since: 0, last: class, next: class }, 0).unwrap();
    }

    /// A rule of a set: those of a class may use as much of protocol and port as `bits` of the key say.
    pub(crate) fn rule(&mut self, (set, class): (u32, u32), protocol: u8, port: u16, bits: u32) {
        let key = RuleKey { set, class, protocol: protocol.into(), port: Port::new(port) };
        self.rules().insert(&Key::new(bits, key), RULE, 0).unwrap();
    }

    /// Takes all rules away.
    pub(crate) fn no_rules(&mut self) {
        let mut rules = self.rules();
        let keys: Vec<_> = rules.keys().map(Result::unwrap).collect();
        for key in keys {
            rules.remove(&key).unwrap();
        }
    }

    fn rules(&mut self) -> LpmTrie<&mut aya::maps::MapData, RuleKey, Rule> {
        LpmTrie::try_from(self.ebpf.map_mut(tables::RULES.name).unwrap()).unwrap()
    }

    /// Verdicts that [`RULE`] allowed.
    pub(crate) fn hits(&mut self) -> u64 {
        let map = self.ebpf.map(tables::RULE_HITS.name).unwrap();
        let hits: PerCpuHashMap<_, Rule, u64> = PerCpuHashMap::try_from(map).unwrap();
        hits.get(&RULE, 0).map_or(0, |counts| counts.iter().sum())
    }

    /// Runs a frame that came in by some interface through a program: no program of the node sent it.
    pub(crate) fn run_forwarded(&mut self, program: &str, frame: &[u8]) -> (Verdict, Vec<u8>) {
        let (code, bytes) = self.run_with(program, frame, Some(&forwarded()));
        (Verdict::of(program, code), bytes)
    }
}

/// The start of the `__sk_buff` of a packet that came in by some interface.
pub(crate) fn forwarded() -> [u8; INGRESS_IFINDEX + 4] {
    let mut context = [0; INGRESS_IFINDEX + 4];
    context[INGRESS_IFINDEX..].copy_from_slice(&2_u32.to_ne_bytes());
    context
}

/// Offset in a `__sk_buff`.
const INGRESS_IFINDEX: usize = 36;

/// What each rule of the bench is a rule of.
pub(crate) const RULE: Rule = Rule { policy: 1, index: 0 };
