//! The steps from one state of the policy tables to the next.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv6Addr};

use ipnetwork::IpNetwork;
use proxy_common::addr::Addr;
use proxy_common::tables::{Block, Identity, PodNetwork, PolicyName, Rule, RuleKey, SetPolicy};

use crate::model::Prefix;

/// One change of one table entry. A list of writes is carried out in order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum PolicyWrite {
    /// Name of a policy. In a box, as it would make every write ten times as large.
    PutName(u32, Box<PolicyName>),
    /// Name of a policy that is no more; its rules' counts go with it.
    DeleteName(u32),
    /// A policy that a set is made of.
    PutSetPolicy(SetPolicy),
    /// A policy of a set that is no more.
    DeleteSetPolicy(SetPolicy),
    /// What a rule allows.
    PutRule(RulePrefix, Rule),
    /// What no rule allows any more.
    DeleteRule(RulePrefix),
    /// Class of a network.
    PutBlock(BlockPrefix, Block),
    /// A network of no class.
    DeleteBlock(BlockPrefix),
    /// Who has an address.
    PutIdentity(Addr, Identity),
    /// Nobody of whom we need to know has it.
    DeleteIdentity(Addr),
    /// What is known of this node's pods as a whole.
    PutPodNetwork(PodNetwork),
    /// From here on, packets are judged in this generation.
    SetGeneration(u32),
}

/// Key of `RULES`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct RulePrefix {
    /// What is matched.
    pub key: RuleKey,
    /// How many bits of it: see [`RuleKey`].
    pub bits: u32,
}

/// Key of `BLOCKS`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct BlockPrefix {
    /// The network's address; what lies beyond the prefix is zero.
    pub addr: Addr,
    /// Length of the prefix in bits of `addr`, with what stands before an IPv4 address.
    pub bits: u32,
}

impl From<IpNetwork> for BlockPrefix {
    fn from(network: IpNetwork) -> Self {
        let before = if network.is_ipv4() { 96 } else { 0 };
        Self { addr: network.network().into(), bits: before + u32::from(network.prefix()) }
    }
}

impl From<Prefix> for BlockPrefix {
    fn from(prefix: Prefix) -> Self {
        let (addr, bits) = prefix.parts();
        Self { addr: IpAddr::V6(Ipv6Addr::from_bits(addr)).into(), bits: bits.into() }
    }
}

impl From<BlockPrefix> for Prefix {
    fn from(prefix: BlockPrefix) -> Self {
        Self::from(IpAddr::from(prefix.addr)).truncated(prefix.bits as u8)
    }
}

/// What the policy tables hold: read from the kernel by a starting agent, kept in step with each write after that.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct PolicyImage {
    /// `POLICY_NAMES`.
    pub names: BTreeMap<u32, PolicyName>,
    /// `SET_POLICIES`.
    pub set_policies: BTreeSet<SetPolicy>,
    /// `RULES`.
    pub rules: BTreeMap<RulePrefix, Rule>,
    /// `BLOCKS`.
    pub blocks: BTreeMap<BlockPrefix, Block>,
    /// `IDENTITIES`.
    pub identities: BTreeMap<Addr, Identity>,
    /// `POD_NETWORK`.
    pub pod_network: PodNetwork,
    /// `POLICY_GENERATION`.
    pub generation: u32,
}

impl PolicyImage {
    /// Rules of a set for a class.
    pub(super) fn rules_of(&self, set: u32, class: u32) -> impl Iterator<Item = (&RulePrefix, &Rule)> {
        let first = |class: u32| RulePrefix { key: RuleKey { set, class, ..RuleKey::default() }, bits: 0 };
        self.rules.range(first(class)..first(class + 1))
    }

    /// Rules of a set for all classes.
    pub(crate) fn rules_of_set(&self, set: u32) -> impl Iterator<Item = (&RulePrefix, &Rule)> {
        let first = |set: u32| RulePrefix { key: RuleKey { set, ..RuleKey::default() }, bits: 0 };
        self.rules.range(first(set)..first(set + 1))
    }

    /// Policies that a set is made of.
    pub(super) fn policies_of(&self, set: u32) -> impl Iterator<Item = SetPolicy> {
        let policy = |policy: u32| SetPolicy { set, policy };
        self.set_policies.range(policy(0)..=policy(u32::MAX)).copied()
    }

    /// Whether `write` changes nothing.
    pub(super) fn holds(&self, write: &PolicyWrite) -> bool {
        match write {
            PolicyWrite::PutName(id, name) => self.names.get(id) == Some(name),
            PolicyWrite::DeleteName(id) => !self.names.contains_key(id),
            PolicyWrite::PutSetPolicy(key) => self.set_policies.contains(key),
            PolicyWrite::DeleteSetPolicy(key) => !self.set_policies.contains(key),
            PolicyWrite::PutRule(key, rule) => self.rules.get(key) == Some(rule),
            PolicyWrite::DeleteRule(key) => !self.rules.contains_key(key),
            PolicyWrite::PutBlock(key, block) => self.blocks.get(key) == Some(block),
            PolicyWrite::DeleteBlock(key) => !self.blocks.contains_key(key),
            PolicyWrite::PutIdentity(addr, identity) => self.identities.get(addr) == Some(identity),
            PolicyWrite::DeleteIdentity(addr) => !self.identities.contains_key(addr),
            PolicyWrite::PutPodNetwork(network) => self.pod_network == *network,
            PolicyWrite::SetGeneration(generation) => self.generation == *generation,
        }
    }

    /// Carries `write` out, as the kernel does.
    pub fn apply(&mut self, write: &PolicyWrite) {
        match write {
            PolicyWrite::PutName(id, name) => drop(self.names.insert(*id, **name)),
            PolicyWrite::DeleteName(id) => drop(self.names.remove(id)),
            PolicyWrite::PutSetPolicy(key) => drop(self.set_policies.insert(*key)),
            PolicyWrite::DeleteSetPolicy(key) => drop(self.set_policies.remove(key)),
            PolicyWrite::PutRule(key, rule) => drop(self.rules.insert(*key, *rule)),
            PolicyWrite::DeleteRule(key) => drop(self.rules.remove(key)),
            PolicyWrite::PutBlock(key, block) => drop(self.blocks.insert(*key, *block)),
            PolicyWrite::DeleteBlock(key) => drop(self.blocks.remove(key)),
            PolicyWrite::PutIdentity(addr, identity) => drop(self.identities.insert(*addr, *identity)),
            PolicyWrite::DeleteIdentity(addr) => drop(self.identities.remove(addr)),
            PolicyWrite::PutPodNetwork(network) => self.pod_network = *network,
            PolicyWrite::SetGeneration(generation) => self.generation = *generation,
        }
    }
}
