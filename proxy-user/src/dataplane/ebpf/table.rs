//! One hash table of the dataplane, typed.

use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use aya::Pod;
use aya::maps::{HashMap, Map, MapData, MapError};
use aya_obj::generated::BPF_NOEXIST;
use proxy_common::tables;

use super::batch::entries;
use super::error::Error;
use super::found::FoundMaps;
use super::sys::update_batch;
use super::write::WriteError;

/// A hash whose keys are `K` and whose values are `V`.
#[derive(Debug)]
pub(super) struct Table<K, V> {
    definition: tables::Table,
    map: HashMap<MapData, K, V>,
    /// For what aya has no function for.
    fd: OwnedFd,
    /// Entries put or deleted so far.
    writes: u64,
}

impl<K: Pod, V: Pod> Table<K, V> {
    /// Takes a table's map. An error when keys or values have another size.
    pub(super) fn take(found: &mut FoundMaps, table: tables::Table) -> Result<Self, Error> {
        let name = table.name;
        let error = |source| Error::Map { name, source };
        let map = found.take(name)?;
        let (Map::HashMap(data) | Map::LruHashMap(data)) = &map else {
            return Err(Error::Missing { kind: "hash map", name });
        };
        let fd = data.fd().as_fd().try_clone_to_owned().map_err(|source| error(source.into()))?;
        Ok(Self { definition: table, map: map.try_into().map_err(error)?, fd, writes: 0 })
    }

    /// Adds or replaces an entry.
    pub(super) fn put(&mut self, key: &K, value: &V) -> Result<(), WriteError> {
        self.writes += 1;
        self.map.insert(key, value, 0).map_err(|source| WriteError::new(self.definition, source))
    }

    /// Adds an entry, or replaces the one that is there unless that `stands`. Whether it did.
    pub(super) fn put_unless(&mut self, key: &K, value: &V, stands: impl Fn(&V) -> bool) -> Result<bool, WriteError> {
        self.writes += 1;
        let refused = |source| WriteError::new(self.definition, source);
        match self.map.insert(key, value, BPF_NOEXIST.into()) {
            Err(MapError::SyscallError(error)) if error.io_error.raw_os_error() == Some(libc::EEXIST) => {}
            added => return added.map(|()| true).map_err(refused),
        }
        if self.get(key)?.is_some_and(|held| stands(&held)) {
            return Ok(false);
        }
        self.put(key, value).map(|()| true)
    }

    /// The value of a key.
    pub(super) fn get(&self, key: &K) -> Result<Option<V>, WriteError> {
        match self.map.get(key, 0) {
            Err(MapError::KeyNotFound) => Ok(None),
            value => value.map(Some).map_err(|source| WriteError::new(self.definition, source)),
        }
    }

    /// Adds or replaces entries in their order, in one system call. With an error comes how many took effect.
    pub(super) fn put_all(&mut self, entries: impl Iterator<Item = (K, V)>) -> Result<(), (usize, WriteError)> {
        let (keys, values): (Vec<K>, Vec<V>) = entries.unzip();
        let put = update_batch(self.fd.as_fd(), &keys, &values);
        self.writes += put.as_ref().map_or_else(|(done, _)| done + 1, |()| keys.len()) as u64;
        put.map_err(|(done, source)| (done, WriteError::new(self.definition, source.into())))
    }

    /// Removes an entry; one that isn't there is fine.
    pub(super) fn delete(&mut self, key: &K) -> Result<(), WriteError> {
        self.writes += 1;
        match self.map.remove(key) {
            Err(MapError::SyscallError(error)) if error.io_error.raw_os_error() == Some(libc::ENOENT) => Ok(()),
            removed => removed.map_err(|source| WriteError::new(self.definition, source)),
        }
    }

    /// Every entry.
    pub(super) fn entries<C: FromIterator<(K, V)>>(&self) -> Result<C, Error> {
        let entries = entries(self.fd.as_fd());
        Ok(entries.map_err(|source| Error::Read { table: self.definition.name, source })?.into_iter().collect())
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// Entries put or deleted so far, under the table's name.
    pub(super) const fn writes(&self) -> (&'static str, u64) {
        (self.definition.name, self.writes)
    }

    pub(super) const fn name(&self) -> &'static str {
        self.definition.name
    }
}
