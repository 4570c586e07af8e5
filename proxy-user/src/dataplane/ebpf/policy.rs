//! Carries out the policy plan's writes on the maps.

use std::collections::BTreeSet;

use proxy_common::addr::Addr;
use proxy_common::tables::{self, Block, Identity, PodNetwork, PolicyName, Rule, RuleKey, SetPolicy};

use super::error::Error;
use super::found::FoundMaps;
use super::hits::RuleHits;
use super::single::Single;
use super::table::Table;
use super::trie::Trie;
use super::write::{Unfinished, WriteError, in_order};
use crate::plan::{BlockPrefix, PolicyImage, PolicyWrite, RulePrefix};

/// The tables of policy.
pub(super) struct PolicyTables {
    names: Table<u32, PolicyName>,
    set_policies: Table<SetPolicy, u32>,
    rules: Trie<RuleKey, Rule>,
    blocks: Trie<Addr, Block>,
    identities: Table<Addr, Identity>,
    hits: RuleHits,
    pod_network: Single<PodNetwork>,
    generation: Single<u32>,
}

impl PolicyTables {
    pub(super) fn take(found: &mut FoundMaps) -> Result<Self, Error> {
        Ok(Self {
            names: Table::take(found, tables::POLICY_NAMES)?,
            set_policies: Table::take(found, tables::SET_POLICIES)?,
            rules: Trie::take(found, tables::RULES)?,
            blocks: Trie::take(found, tables::BLOCKS)?,
            identities: Table::take(found, tables::IDENTITIES)?,
            hits: RuleHits::take(found)?,
            pod_network: Single::take(found, tables::POD_NETWORK)?,
            generation: Single::take(found, tables::POLICY_GENERATION)?,
        })
    }

    pub(super) fn image(&self) -> Result<PolicyImage, Error> {
        Ok(PolicyImage {
            names: self.names.entries()?,
            set_policies: self.set_policies.entries::<Vec<_>>()?.into_iter().map(|(key, _)| key).collect(),
            rules: self.rules.entries(|bits, key, rule| (RulePrefix { key, bits }, rule))?,
            blocks: self.blocks.entries(|bits, addr, block| (BlockPrefix { addr, bits }, block))?,
            identities: self.identities.entries()?,
            pod_network: self.pod_network.get()?,
            generation: self.generation.get()?,
        })
    }

    pub(super) fn apply(&mut self, writes: &[PolicyWrite]) -> Result<(), Unfinished> {
        in_order(writes, |alike| self.write_alike(alike))
    }

    /// Carries out writes of one kind. With an error comes how many took effect.
    fn write_alike(&mut self, writes: &[PolicyWrite]) -> Result<(), (usize, WriteError)> {
        match writes {
            [PolicyWrite::PutName(..), _, ..] => self.names.put_all(writes.iter().filter_map(|write| match write {
                PolicyWrite::PutName(id, name) => Some((*id, **name)),
                _ => None,
            })),
            [PolicyWrite::PutSetPolicy(_), _, ..] => {
                self.set_policies.put_all(writes.iter().filter_map(|write| match write {
                    PolicyWrite::PutSetPolicy(key) => Some((*key, 0)),
                    _ => None,
                }))
            }
            [PolicyWrite::PutRule(..), _, ..] => self.rules.put_all(writes.iter().filter_map(|write| match write {
                PolicyWrite::PutRule(prefix, rule) => Some((prefix.bits, prefix.key, *rule)),
                _ => None,
            })),
            [PolicyWrite::PutBlock(..), _, ..] => self.blocks.put_all(writes.iter().filter_map(|write| match write {
                PolicyWrite::PutBlock(prefix, block) => Some((prefix.bits, prefix.addr, *block)),
                _ => None,
            })),
            [PolicyWrite::PutIdentity(..), _, ..] => {
                self.identities.put_all(writes.iter().filter_map(|write| match write {
                    PolicyWrite::PutIdentity(addr, identity) => Some((*addr, *identity)),
                    _ => None,
                }))
            }
            [PolicyWrite::DeleteName(_), ..] => self.delete_names(writes.iter().filter_map(|write| match write {
                PolicyWrite::DeleteName(id) => Some(*id),
                _ => None,
            })),
            _ => {
                writes.iter().enumerate().try_for_each(|(done, write)| self.write(write).map_err(|error| (done, error)))
            }
        }
    }

    fn write(&mut self, write: &PolicyWrite) -> Result<(), WriteError> {
        match write {
            PolicyWrite::PutName(id, name) => self.names.put(id, name),
            PolicyWrite::DeleteName(id) => self.names.delete(id),
            PolicyWrite::PutSetPolicy(key) => self.set_policies.put(key, &0),
            PolicyWrite::DeleteSetPolicy(key) => self.set_policies.delete(key),
            PolicyWrite::PutRule(RulePrefix { key, bits }, rule) => self.rules.put(*bits, *key, *rule),
            PolicyWrite::DeleteRule(RulePrefix { key, bits }) => self.rules.delete(*bits, *key),
            PolicyWrite::PutBlock(BlockPrefix { addr, bits }, block) => self.blocks.put(*bits, *addr, *block),
            PolicyWrite::DeleteBlock(BlockPrefix { addr, bits }) => self.blocks.delete(*bits, *addr),
            PolicyWrite::PutIdentity(addr, identity) => self.identities.put(addr, identity),
            PolicyWrite::DeleteIdentity(addr) => self.identities.delete(addr),
            PolicyWrite::PutPodNetwork(network) => self.pod_network.set(*network),
            PolicyWrite::SetGeneration(generation) => self.generation.set(*generation),
        }
    }

    /// With the names go the counts of their rules, in one walk for all: those first, so that a walk that fails is made
    /// again with the names.
    fn delete_names(&mut self, ids: impl Iterator<Item = u32>) -> Result<(), (usize, WriteError)> {
        let ids: BTreeSet<u32> = ids.collect();
        self.hits.forget(&ids).map_err(|error| (0, error))?;
        ids.iter().enumerate().try_for_each(|(done, id)| self.names.delete(id).map_err(|error| (done, error)))
    }

    /// Name of each table with the entries put or deleted so far.
    pub(super) const fn writes(&self) -> [(&'static str, u64); 7] {
        [
            self.names.writes(),
            self.set_policies.writes(),
            self.rules.writes(),
            self.blocks.writes(),
            self.identities.writes(),
            self.pod_network.writes(),
            self.generation.writes(),
        ]
    }
}
