//! One pinned trie by longest prefix, opened and checked.

use std::os::fd::{AsFd as _, OwnedFd};
use std::path::Path;

use aya::Pod;
use aya::maps::lpm_trie::{Key, LpmTrie};
use aya::maps::{Map, MapData, MapError, MapType};
use proxy_common::tables::Table;

use super::ReadError;
use super::table::checked;
use crate::dataplane::Fill;
use crate::dataplane::ebpf::batch::prefixes;

/// A pinned trie.
pub struct TrieTable<K, V> {
    table: Table,
    map: LpmTrie<MapData, K, V>,
    /// For walks, which aya makes entry by entry.
    fd: OwnedFd,
}

impl<K: Pod, V: Pod> TrieTable<K, V> {
    pub(super) fn open(maps: &Path, table: Table) -> Result<Self, ReadError> {
        let failed = |source| ReadError::read(table, source);
        let data = checked::<Key<K>, V>(maps, table, MapType::LpmTrie)?;
        let fd = data.fd().as_fd().try_clone_to_owned().map_err(|source| failed(source.into()))?;
        Ok(Self { table, map: LpmTrie::try_from(Map::LpmTrie(data)).map_err(failed)?, fd })
    }

    /// The entry with the longest prefix that all bits of `key` begin with.
    pub fn longest(&self, key: &K) -> Result<Option<V>, ReadError> {
        let all_bits = u32::try_from(size_of::<K>() * 8).unwrap_or(u32::MAX);
        match self.map.get(&Key::new(all_bits, *key), 0) {
            Ok(value) => Ok(Some(value)),
            Err(MapError::KeyNotFound) => Ok(None),
            Err(source) => Err(ReadError::read(self.table, source)),
        }
    }

    /// Every entry: prefix, how many bits of it count, and value.
    pub fn entries(&self) -> Result<Vec<(K, u32, V)>, ReadError> {
        let entries = self.prefixes()?.into_iter();
        Ok(entries.map(|(key, value)| (key.data(), key.prefix_len(), value)).collect())
    }

    /// How full the table is.
    pub fn fill(&self) -> Result<Fill, ReadError> {
        Ok(Fill { table: self.table, entries: self.prefixes()?.len() as u64, evicts: false })
    }

    fn prefixes(&self) -> Result<Vec<(Key<K>, V)>, ReadError> {
        prefixes(self.fd.as_fd()).map_err(|source| ReadError::read(self.table, source.into()))
    }
}
