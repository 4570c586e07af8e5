//! The pinned tables as the command line reads them: whether an agent runs or not, and without changing anything.
//!
//! Invariant: a map is used only after its type and sizes were compared with our layouts. The kernel copies by the
//! size of the actual map, so a map of another layout would be written past the end of our buffers.

mod error;
mod links;
mod overlay;
mod policy;
mod table;
mod trie;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::{fs, io};

use aya::maps::{Array, Map, MapData, MapError, MapType, PerCpuArray};
use proxy_common::addr::Addr;
use proxy_common::drop::Reason;
use proxy_common::tables::{
    self, Address, Affinity, AffinityKey, Backend, BackendKey, Device, FlowKey, FlowRecord, Member, MemberKey, Service,
    ServiceKey, ServiceName, SocketKey, SocketPeer, SourceRange, Table,
};

pub use error::ReadError;
pub use links::{PinnedLink, links};
pub use overlay::Overlay;
pub use policy::PinnedPolicies;
pub use table::HashTable;
pub use trie::TrieTable;

use super::found::OF_PROGRAMS;
use super::pins;
use crate::dataplane::Fill;
use crate::plan::{Image, SourcePrefix};

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
    pub source_ranges: TrieTable<SourceRange, u32>,
    /// `DEVICES`, by interface index.
    pub devices: HashTable<u32, Device>,
    /// NetworkPolicy.
    pub policies: PinnedPolicies,
    epoch: Array<MapData, u32>,
    drops: PerCpuArray<MapData, u64>,
    audits: PerCpuArray<MapData, u64>,
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
        let rules = pins::rules_note(bpffs).exists();
        Ok(Self {
            services: HashTable::open(&maps, tables::SERVICES, MapType::Hash)?,
            backends: HashTable::open(&maps, tables::BACKENDS, MapType::Hash)?,
            members: HashTable::open(&maps, tables::MEMBERS, MapType::Hash)?,
            names: HashTable::open(&maps, tables::SERVICE_NAMES, MapType::Hash)?,
            flows: HashTable::of_programs(&maps, tables::FLOWS, MapType::Hash, rules)?,
            flows_new: HashTable::of_programs(&maps, tables::FLOWS_NEW, MapType::LruHash, rules)?,
            sock_backend: HashTable::of_programs(&maps, tables::SOCK_BACKEND, MapType::LruHash, rules)?,
            sock_origin: HashTable::of_programs(&maps, tables::SOCK_ORIGIN, MapType::LruHash, rules)?,
            addresses: HashTable::open(&maps, tables::ADDRESSES, MapType::Hash)?,
            affinity: HashTable::of_programs(&maps, tables::AFFINITY, MapType::LruHash, rules)?,
            source_ranges: TrieTable::open(&maps, tables::SOURCE_RANGES)?,
            devices: HashTable::open(&maps, tables::DEVICES, MapType::Hash)?,
            policies: PinnedPolicies::open(&maps)?,
            epoch: Array::try_from(Map::Array(table::checked::<u32, u32>(&maps, tables::EPOCH, MapType::Array)?))
                .map_err(|source| ReadError::read(tables::EPOCH, source))?,
            drops: reason_counts(&maps, tables::DROPS)?,
            audits: reason_counts(&maps, tables::AUDITS)?,
        })
    }

    /// Whether there are the tables that programs write: where rules serve, there are not.
    #[must_use]
    pub const fn has_programs(&self) -> bool {
        self.flows.is_there()
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
        let entries = self.source_ranges.entries()?.into_iter();
        Ok(entries.map(|(range, bits, _)| SourcePrefix { range, bits }).collect())
    }

    /// `EPOCH`: how often an endpoint left a Service.
    pub fn epoch(&self) -> Result<u32, ReadError> {
        self.epoch.get(&0, 0).map_err(|source| ReadError::read(tables::EPOCH, source))
    }

    /// `DROPS`: every reason, in the order of the numbers.
    pub fn drops(&self) -> Result<Vec<DropCount>, ReadError> {
        drop_counts(&self.drops).map_err(|source| ReadError::read(tables::DROPS, source))
    }

    /// `AUDITS`: the same, of packets that passed and would not have if an audited policy were enforced.
    pub fn audits(&self) -> Result<Vec<DropCount>, ReadError> {
        drop_counts(&self.audits).map_err(|source| ReadError::read(tables::AUDITS, source))
    }

    /// How full each table is that is there and can fill up. Walks the tables, which takes seconds for a million entries.
    pub fn fill(&self) -> Result<Vec<Fill>, ReadError> {
        let mut fills = vec![
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
            self.source_ranges.fill()?,
        ];
        fills.extend(self.policies.fill()?);
        fills.push(self.devices.fill()?);
        fills.retain(|fill| self.has_programs() || !OF_PROGRAMS.contains(&fill.table));
        Ok(fills)
    }

    /// How full those tables are that the programs write, but for flows, which the sweep counts.
    pub fn fill_by_programs(&self) -> Result<[Fill; 3], ReadError> {
        Ok([self.sock_backend.fill()?, self.sock_origin.fill()?, self.affinity.fill()?])
    }
}

fn reason_counts(maps: &Path, table: Table) -> Result<PerCpuArray<MapData, u64>, ReadError> {
    let data = table::checked::<u32, u64>(maps, table, MapType::PerCpuArray)?;
    PerCpuArray::try_from(Map::PerCpuArray(data)).map_err(|source| ReadError::read(table, source))
}

/// The count of every reason, in the order of the numbers.
pub(super) fn drop_counts(drops: &PerCpuArray<MapData, u64>) -> Result<Vec<DropCount>, MapError> {
    let count = |reason: Reason| Ok(DropCount { reason, packets: drops.get(&reason.number(), 0)?.iter().sum() });
    Reason::ALL.into_iter().map(count).collect()
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

/// Versions of the layouts that have pins below `bpffs`, in their order; none where no agent has started.
pub fn layouts(bpffs: &Path) -> Result<Vec<u32>, ReadError> {
    let directories =
        pins::versions(bpffs).map_err(|error| ReadError::Layouts { bpffs: bpffs.into(), source: error.into() })?;
    let mut layouts: Vec<u32> = directories.iter().filter_map(|directory| pins::version_of(directory)).collect();
    layouts.sort_unstable();
    Ok(layouts)
}

/// Name of a directory another build pinned its tables in.
fn other_version(bpffs: &Path) -> Option<String> {
    let version = pins::versions(bpffs).ok()?.into_iter().next()?;
    Some(version.file_name()?.to_string_lossy().into_owned())
}

#[cfg(test)]
pub(crate) mod tests;
