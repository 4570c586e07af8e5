//! The pinned tables of NetworkPolicy.

use std::collections::BTreeMap;
use std::path::Path;

use aya::maps::{Array, Map, MapData, MapError, MapType, PerCpuHashMap};
use proxy_common::addr::Addr;
use proxy_common::tables::{self, Block, Identity, PodNetwork, PolicyName, Rule, RuleKey, SetPolicy};

use super::table::checked;
use super::{HashTable, ReadError, TrieTable};
use crate::dataplane::Fill;

/// The pinned tables of NetworkPolicy.
pub struct PinnedPolicies {
    /// `IDENTITIES`.
    pub identities: HashTable<Addr, Identity>,
    /// `BLOCKS`.
    pub blocks: TrieTable<Addr, Block>,
    /// `RULES`.
    pub rules: TrieTable<RuleKey, Rule>,
    /// `POLICY_NAMES`, by number.
    pub names: HashTable<u32, PolicyName>,
    /// `SET_POLICIES`.
    pub set_policies: HashTable<SetPolicy, u32>,
    rule_hits: PerCpuHashMap<MapData, Rule, u64>,
    generation: Array<MapData, u32>,
    pod_network: Array<MapData, PodNetwork>,
}

impl PinnedPolicies {
    pub(super) fn open(maps: &Path) -> Result<Self, ReadError> {
        let hits = checked::<Rule, u64>(maps, tables::RULE_HITS, MapType::PerCpuHash)?;
        let generation = checked::<u32, u32>(maps, tables::POLICY_GENERATION, MapType::Array)?;
        let pod_network = checked::<u32, PodNetwork>(maps, tables::POD_NETWORK, MapType::Array)?;
        Ok(Self {
            identities: HashTable::open(maps, tables::IDENTITIES, MapType::Hash)?,
            blocks: TrieTable::open(maps, tables::BLOCKS)?,
            rules: TrieTable::open(maps, tables::RULES)?,
            names: HashTable::open(maps, tables::POLICY_NAMES, MapType::Hash)?,
            set_policies: HashTable::open(maps, tables::SET_POLICIES, MapType::Hash)?,
            rule_hits: PerCpuHashMap::try_from(Map::PerCpuHashMap(hits)).map_err(failed(tables::RULE_HITS))?,
            generation: Array::try_from(Map::Array(generation)).map_err(failed(tables::POLICY_GENERATION))?,
            pod_network: Array::try_from(Map::Array(pod_network)).map_err(failed(tables::POD_NETWORK))?,
        })
    }

    /// `RULE_HITS`: what each rule allowed on all CPUs. A rule that allowed nothing yet has no entry.
    pub fn rule_hits(&self) -> Result<BTreeMap<Rule, u64>, ReadError> {
        let entry = |entry: Result<(Rule, aya::maps::PerCpuValues<u64>), MapError>| {
            entry.map(|(rule, hits)| (rule, hits.iter().sum()))
        };
        self.rule_hits.iter().map(entry).collect::<Result<_, _>>().map_err(failed(tables::RULE_HITS))
    }

    /// `POLICY_GENERATION`.
    pub fn generation(&self) -> Result<u32, ReadError> {
        self.generation.get(&0, 0).map_err(failed(tables::POLICY_GENERATION))
    }

    /// `POD_NETWORK`.
    pub fn pod_network(&self) -> Result<PodNetwork, ReadError> {
        self.pod_network.get(&0, 0).map_err(failed(tables::POD_NETWORK))
    }

    /// How full each table is that can fill up.
    pub(super) fn fill(&self) -> Result<[Fill; 6], ReadError> {
        let hits = self.rule_hits.keys().try_fold(0, |count, key| key.map(|_| count + 1));
        let hits = hits.map_err(failed(tables::RULE_HITS))?;
        Ok([
            self.identities.fill()?,
            self.blocks.fill()?,
            self.rules.fill()?,
            self.names.fill()?,
            self.set_policies.fill()?,
            Fill { table: tables::RULE_HITS, entries: hits, evicts: false },
        ])
    }
}

fn failed(table: tables::Table) -> impl Fn(MapError) -> ReadError {
    move |source| ReadError::read(table, source)
}
