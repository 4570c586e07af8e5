//! One pinned map, opened and checked.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::Path;

use aya::Pod;
use aya::maps::{HashMap, Map, MapData, MapError, MapType};
use proxy_common::tables::Table;

use super::ReadError;
use crate::dataplane::Fill;
use crate::dataplane::ebpf::batch;

/// A pinned hash map (plain or LRU). Kernel programs write while we read: an entry is whole, but entries come and go
/// between two of them.
pub struct HashTable<K, V> {
    table: Table,
    /// `None`: only programs write it, and there are none.
    opened: Option<Opened<K, V>>,
    evicts: bool,
}

struct Opened<K, V> {
    map: HashMap<MapData, K, V>,
    /// For walks, which aya makes entry by entry.
    fd: OwnedFd,
}

impl<K: Pod + Ord, V: Pod> HashTable<K, V> {
    pub(super) fn open(maps: &Path, table: Table, map_type: MapType) -> Result<Self, ReadError> {
        let failed = |source| ReadError::read(table, source);
        let data = checked::<K, V>(maps, table, map_type)?;
        let fd = data.fd().as_fd().try_clone_to_owned().map_err(|source| failed(source.into()))?;
        let evicts = map_type == MapType::LruHash;
        let map = if evicts { Map::LruHashMap(data) } else { Map::HashMap(data) };
        let map = map.try_into().map_err(failed)?;
        Ok(Self { table, opened: Some(Opened { map, fd }), evicts })
    }

    /// The same of a table that only programs write: without programs (`may_lack`) it may not be there, and is empty.
    pub(super) fn of_programs(maps: &Path, table: Table, map_type: MapType, may_lack: bool) -> Result<Self, ReadError> {
        if may_lack && !maps.join(table.name).exists() {
            return Ok(Self { table, opened: None, evicts: map_type == MapType::LruHash });
        }
        Self::open(maps, table, map_type)
    }

    /// The entry of a key. To an LRU table this is no use of the entry: it is evicted as if nobody had asked.
    pub fn get(&self, key: &K) -> Result<Option<V>, ReadError> {
        let Some(Opened { map, .. }) = &self.opened else { return Ok(None) };
        match map.get(key, 0) {
            Ok(value) => Ok(Some(value)),
            Err(MapError::KeyNotFound) => Ok(None),
            Err(source) => Err(ReadError::read(self.table, source)),
        }
    }

    /// Every entry.
    pub fn entries(&self) -> Result<BTreeMap<K, V>, ReadError> {
        self.some(usize::MAX)
    }

    /// So many entries at most, whichever come first.
    pub fn some(&self, limit: usize) -> Result<BTreeMap<K, V>, ReadError> {
        self.read(limit)
    }

    /// Every key.
    pub fn keys(&self) -> Result<BTreeSet<K>, ReadError> {
        Ok(self.read::<Vec<_>>(usize::MAX)?.into_iter().map(|(key, _)| key).collect())
    }

    /// Whether there is such a table.
    #[must_use]
    pub const fn is_there(&self) -> bool {
        self.opened.is_some()
    }

    /// How full the table is.
    pub fn fill(&self) -> Result<Fill, ReadError> {
        let counted = |opened: &Opened<K, V>| batch::count::<K, V>(opened.fd.as_fd());
        let entries = self.opened.as_ref().map_or(Ok(0), counted);
        let entries = entries.map_err(|source| ReadError::read(self.table, source.into()))?;
        Ok(Fill { table: self.table, entries, evicts: self.evicts })
    }

    fn read<C: FromIterator<(K, V)>>(&self, limit: usize) -> Result<C, ReadError> {
        let Some(Opened { fd, .. }) = &self.opened else { return Ok(C::from_iter([])) };
        let entries = batch::some(fd.as_fd(), limit);
        Ok(entries.map_err(|source| ReadError::read(self.table, source.into()))?.into_iter().collect())
    }
}

/// Opens the pin of `table` and compares the map with our layout: aya compares nothing.
pub(super) fn checked<K, V>(maps: &Path, table: Table, map_type: MapType) -> Result<MapData, ReadError> {
    let path = maps.join(table.name);
    let open = |source| ReadError::Open { table: table.name, path: path.clone(), source };
    let map = MapData::from_pin(&path).map_err(open)?;
    let info = map.info().map_err(open)?;
    let compare = |property, got: &dyn Debug, want: &dyn Debug| {
        let (got, want) = (format!("{got:?}"), format!("{want:?}"));
        let path = path.clone();
        if got == want { Ok(()) } else { Err(ReadError::Layout { table: table.name, path, property, got, want }) }
    };
    compare("type", &info.map_type().map_err(open)?, &map_type)?;
    compare("key size", &info.key_size(), &size_of::<K>())?;
    compare("value size", &info.value_size(), &size_of::<V>())?;
    compare("max_entries", &info.max_entries(), &table.max_entries)?;
    Ok(map)
}
