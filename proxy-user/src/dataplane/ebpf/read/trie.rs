//! One pinned trie by longest prefix, opened and checked.

use std::path::Path;

use aya::Pod;
use aya::maps::lpm_trie::{Key, LpmTrie};
use aya::maps::{Map, MapData, MapError, MapType};
use proxy_common::tables::Table;

use super::ReadError;
use super::table::checked;
use crate::dataplane::Fill;

/// A pinned trie.
pub struct TrieTable<K, V> {
    table: Table,
    map: LpmTrie<MapData, K, V>,
}

impl<K: Pod, V: Pod> TrieTable<K, V> {
    pub(super) fn open(maps: &Path, table: Table) -> Result<Self, ReadError> {
        let data = checked::<Key<K>, V>(maps, table, MapType::LpmTrie)?;
        let map = LpmTrie::try_from(Map::LpmTrie(data)).map_err(|source| ReadError::read(table, source))?;
        Ok(Self { table, map })
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

    /// Every entry: prefix, how many bits of it count, and value. A system call for each.
    pub fn entries(&self) -> Result<Vec<(K, u32, V)>, ReadError> {
        let entry =
            |entry: Result<(Key<K>, V), MapError>| entry.map(|(key, value)| (key.data(), key.prefix_len(), value));
        self.map.iter().map(entry).collect::<Result<_, _>>().map_err(|source| ReadError::read(self.table, source))
    }

    /// How full the table is.
    pub fn fill(&self) -> Result<Fill, ReadError> {
        let keys = self.map.keys().try_fold(0, |count, key| key.map(|_| count + 1));
        let entries = keys.map_err(|source| ReadError::read(self.table, source))?;
        Ok(Fill { table: self.table, entries, evicts: false })
    }
}
