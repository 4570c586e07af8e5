//! The pinned tables as the command line reads them: whether an agent runs or not, and without changing anything.
//!
//! Invariant: a map is used only after its type and sizes were compared with our layouts. The kernel copies by the
//! size of the actual map, so a map of another layout would be written past the end of our buffers.

mod error;
mod links;
mod overlay;
mod table;

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};
use std::{fs, io};

use aya::Pod;
use aya::maps::lpm_trie::{Key, LpmTrie};
use aya::maps::{Array, Map, MapData, MapError, MapType, PerCpuArray};
use proxy_common::addr::Addr;
use proxy_common::drop::Reason;
use proxy_common::tables::{
    self, Address, Affinity, AffinityKey, Backend, BackendKey, Block, Device, FlowKey, FlowRecord, Identity, Member,
    MemberKey, PodNetwork, PolicyName, Rule, RuleKey, Service, ServiceKey, ServiceName, SetPolicy, SocketKey,
    SocketPeer, SourceRange, Table,
};

pub use error::ReadError;
pub use links::{PinnedLink, links};
pub use overlay::Overlay;
pub use table::HashTable;

use super::hits::rule_hits;
use super::pins;
use super::trie::entries;
use crate::dataplane::Fill;
use crate::plan::{BlockPrefix, Image, PolicyImage, RulePrefix, SourcePrefix};

/// The pinned tables of one `--bpffs` directory.
pub struct Pinned {
    /// `SERVICES`.
    pub services: HashTable<ServiceKey, Service>,
    /// `BACKENDS`.
    pub backends: HashTable<BackendKey, Backend>,
    /// `MEMBERS`.
    pub members: HashTable<MemberKey, Member>,
    /// `SERVICE_NAMES`.
    pub names: HashTable<u32, ServiceName>,
    /// `FLOWS`.
    pub flows: HashTable<FlowKey, FlowRecord>,
    /// `FLOWS_NEW`.
    pub flows_new: HashTable<FlowKey, FlowRecord>,
    /// `SOCK_BACKEND`.
    pub sock_backend: HashTable<SocketKey, SocketPeer>,
    /// `SOCK_ORIGIN`.
    pub sock_origin: HashTable<SocketKey, SocketPeer>,
    /// `ADDRESSES`.
    pub addresses: HashTable<Addr, Address>,
    /// `AFFINITY`.
    pub affinity: HashTable<AffinityKey, Affinity>,
    /// `SOURCE_RANGES`.
    pub source_ranges: LpmTrie<MapData, SourceRange, u32>,
    /// `DEVICES`, by interface index.
    pub devices: HashTable<u32, Device>,
    /// `IDENTITIES`.
    pub identities: HashTable<Addr, Identity>,
    /// `BLOCKS`.
    pub blocks: LpmTrie<MapData, Addr, Block>,
    /// `RULES`.
    pub rules: LpmTrie<MapData, RuleKey, Rule>,
    /// `POLICY_NAMES`, by number.
    pub policy_names: HashTable<u32, PolicyName>,
    /// `SET_POLICIES`: the value means nothing.
    pub set_policies: HashTable<SetPolicy, u32>,
    rule_hits: OwnedFd,
    pod_network: Array<MapData, PodNetwork>,
    generation: Array<MapData, u32>,
    epoch: Array<MapData, u32>,
    drops: PerCpuArray<MapData, u64>,
}

/// Packets dropped for one reason.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DropCount {
    /// Why.
    pub reason: Reason,
    /// How many, on all CPUs, since the tables were made.
    pub packets: u64,
}

impl Pinned {
    /// Opens the tables pinned below `bpffs`, and checks them against the layouts of this build.
    pub fn open(bpffs: &Path) -> Result<Self, ReadError> {
        let maps = maps(bpffs)?;
        Ok(Self {
            services: HashTable::open(&maps, tables::SERVICES, MapType::Hash)?,
            backends: HashTable::open(&maps, tables::BACKENDS, MapType::Hash)?,
            members: HashTable::open(&maps, tables::MEMBERS, MapType::Hash)?,
            names: HashTable::open(&maps, tables::SERVICE_NAMES, MapType::Hash)?,
            flows: HashTable::open(&maps, tables::FLOWS, MapType::Hash)?,
            flows_new: HashTable::open(&maps, tables::FLOWS_NEW, MapType::LruHash)?,
            sock_backend: HashTable::open(&maps, tables::SOCK_BACKEND, MapType::LruHash)?,
            sock_origin: HashTable::open(&maps, tables::SOCK_ORIGIN, MapType::LruHash)?,
            addresses: HashTable::open(&maps, tables::ADDRESSES, MapType::Hash)?,
            affinity: HashTable::open(&maps, tables::AFFINITY, MapType::LruHash)?,
            source_ranges: trie(&maps, tables::SOURCE_RANGES)?,
            devices: HashTable::open(&maps, tables::DEVICES, MapType::Hash)?,
            identities: HashTable::open(&maps, tables::IDENTITIES, MapType::Hash)?,
            blocks: trie(&maps, tables::BLOCKS)?,
            rules: trie(&maps, tables::RULES)?,
            policy_names: HashTable::open(&maps, tables::POLICY_NAMES, MapType::Hash)?,
            set_policies: HashTable::open(&maps, tables::SET_POLICIES, MapType::Hash)?,
            rule_hits: per_cpu_hash::<Rule>(&maps, tables::RULE_HITS)?,
            pod_network: array(&maps, tables::POD_NETWORK)?,
            generation: array(&maps, tables::POLICY_GENERATION)?,
            epoch: array(&maps, tables::EPOCH)?,
            drops: PerCpuArray::try_from(Map::PerCpuArray(table::checked::<u32, u64>(
                &maps,
                tables::DROPS,
                MapType::PerCpuArray,
            )?))
            .map_err(|source| ReadError::read(tables::DROPS, source))?,
        })
    }

    /// Services and their endpoints.
    pub fn image(&self) -> Result<Image, ReadError> {
        Ok(Image {
            services: self.services.entries()?,
            backends: self.backends.entries()?,
            members: self.members.entries()?,
            names: self.names.entries()?,
            addresses: self.addresses.entries()?,
            source_ranges: self.source_ranges()?,
        })
    }

    /// `SOURCE_RANGES`.
    pub fn source_ranges(&self) -> Result<BTreeSet<SourcePrefix>, ReadError> {
        entries(&self.source_ranges, |bits, range, _| SourcePrefix { range, bits })
            .map_err(|source| ReadError::read(tables::SOURCE_RANGES, source))
    }

    /// Policies, whom they are about and what they allow.
    pub fn policy_image(&self) -> Result<PolicyImage, ReadError> {
        let rules = entries(&self.rules, |bits, key, rule| (RulePrefix { key, bits }, rule));
        let blocks = entries(&self.blocks, |bits, addr, block| (BlockPrefix { addr, bits }, block));
        Ok(PolicyImage {
            names: self.policy_names.entries()?,
            set_policies: self.set_policies.keys()?,
            rules: rules.map_err(|source| ReadError::read(tables::RULES, source))?,
            blocks: blocks.map_err(|source| ReadError::read(tables::BLOCKS, source))?,
            identities: self.identities.entries()?,
            pod_network: self.pod_network()?,
            generation: self.policy_generation()?,
        })
    }

    /// `POD_NETWORK`.
    pub fn pod_network(&self) -> Result<PodNetwork, ReadError> {
        self.pod_network.get(&0, 0).map_err(|source| ReadError::read(tables::POD_NETWORK, source))
    }

    /// `POLICY_GENERATION`.
    pub fn policy_generation(&self) -> Result<u32, ReadError> {
        self.generation.get(&0, 0).map_err(|source| ReadError::read(tables::POLICY_GENERATION, source))
    }

    /// `RULE_HITS`: verdicts that each rule allowed, on all CPUs.
    pub fn rule_hits(&self) -> Result<BTreeMap<Rule, u64>, ReadError> {
        rule_hits(self.rule_hits.as_fd()).map_err(|source| ReadError::read(tables::RULE_HITS, source.into()))
    }

    /// `EPOCH`: how often an endpoint left a Service.
    pub fn epoch(&self) -> Result<u32, ReadError> {
        self.epoch.get(&0, 0).map_err(|source| ReadError::read(tables::EPOCH, source))
    }

    /// `DROPS`: every reason, in the order of the numbers.
    pub fn drops(&self) -> Result<Vec<DropCount>, ReadError> {
        drop_counts(&self.drops).map_err(|source| ReadError::read(tables::DROPS, source))
    }

    /// How full each table is that can fill up. Walks the tables, which takes seconds for a million entries.
    pub fn fill(&self) -> Result<Vec<Fill>, ReadError> {
        Ok(vec![
            self.services.fill()?,
            self.backends.fill()?,
            self.members.fill()?,
            self.names.fill()?,
            self.flows.fill()?,
            self.flows_new.fill()?,
            self.sock_backend.fill()?,
            self.sock_origin.fill()?,
            self.addresses.fill()?,
            self.affinity.fill()?,
            trie_fill(tables::SOURCE_RANGES, &self.source_ranges)?,
            self.devices.fill()?,
            self.identities.fill()?,
            trie_fill(tables::BLOCKS, &self.blocks)?,
            trie_fill(tables::RULES, &self.rules)?,
            self.policy_names.fill()?,
            self.set_policies.fill()?,
            Fill { table: tables::RULE_HITS, entries: self.rule_hits()?.len() as u64, evicts: false },
        ])
    }

    /// How full those tables are that the programs write, but for flows, which the sweep counts.
    pub fn fill_by_programs(&self) -> Result<[Fill; 3], ReadError> {
        Ok([self.sock_backend.fill()?, self.sock_origin.fill()?, self.affinity.fill()?])
    }
}

/// `DROPS`: every reason, in the order of the numbers.
pub(super) fn drop_counts(drops: &PerCpuArray<MapData, u64>) -> Result<Vec<DropCount>, MapError> {
    let count = |reason: Reason| Ok(DropCount { reason, packets: drops.get(&reason.number(), 0)?.iter().sum() });
    Reason::ALL.into_iter().map(count).collect()
}

/// Opens a trie.
fn trie<K: Pod, V: Pod>(maps: &Path, table: Table) -> Result<LpmTrie<MapData, K, V>, ReadError> {
    let data = table::checked::<Key<K>, V>(maps, table, MapType::LpmTrie)?;
    LpmTrie::try_from(Map::LpmTrie(data)).map_err(|source| ReadError::read(table, source))
}

/// Opens a table of one entry.
fn array<V: Pod>(maps: &Path, table: Table) -> Result<Array<MapData, V>, ReadError> {
    let data = table::checked::<u32, V>(maps, table, MapType::Array)?;
    Array::try_from(Map::Array(data)).map_err(|source| ReadError::read(table, source))
}

/// Opens a table of counts, one of each CPU.
fn per_cpu_hash<K>(maps: &Path, table: Table) -> Result<OwnedFd, ReadError> {
    let data = table::checked::<K, u64>(maps, table, MapType::PerCpuHash)?;
    data.fd().as_fd().try_clone_to_owned().map_err(|source| ReadError::read(table, source.into()))
}

fn trie_fill<K: Pod, V: Pod>(table: Table, map: &LpmTrie<MapData, K, V>) -> Result<Fill, ReadError> {
    let entries = map.keys().try_fold(0, |count, key| key.map(|_| count + 1));
    Ok(Fill { table, entries: entries.map_err(|source| ReadError::read(table, source))?, evicts: false })
}

/// The maps pinned below `bpffs`.
fn maps(bpffs: &Path) -> Result<PathBuf, ReadError> {
    let maps = pins::maps_directory(bpffs);
    match fs::metadata(&maps) {
        Ok(_) => Ok(maps),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(match other_version(bpffs) {
            Some(found) => ReadError::OtherVersion { bpffs: bpffs.into(), found },
            None => ReadError::NotStarted { bpffs: bpffs.into() },
        }),
        Err(source) => Err(ReadError::Directory { path: maps, source }),
    }
}

/// Name of a directory another build pinned its tables in.
fn other_version(bpffs: &Path) -> Option<String> {
    let version = pins::versions(bpffs).ok()?.into_iter().next()?;
    Some(version.file_name()?.to_string_lossy().into_owned())
}

#[cfg(test)]
pub(crate) mod tests;
