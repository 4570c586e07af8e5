//! One trie by longest prefix of the dataplane, typed.

use std::os::fd::{AsFd as _, OwnedFd};

use aya::Pod;
use aya::maps::lpm_trie::{Key, LpmTrie};
use aya::maps::{Map, MapData, MapError};
use proxy_common::tables;

use super::batch::prefixes;
use super::error::Error;
use super::found::FoundMaps;
use super::sys::update_batch;
use super::write::WriteError;

/// A trie whose keys are prefixes of `K` and whose values are `V`.
#[derive(Debug)]
pub(super) struct Trie<K, V> {
    definition: tables::Table,
    map: LpmTrie<MapData, K, V>,
    /// For what aya has no function for.
    fd: OwnedFd,
    /// Prefixes put or deleted so far.
    writes: u64,
}

impl<K: Pod, V: Pod> Trie<K, V> {
    /// Takes a trie out of the loaded object. An error when keys or values have another size.
    pub(super) fn take(found: &mut FoundMaps, table: tables::Table) -> Result<Self, Error> {
        let name = table.name;
        let error = |source| Error::Map { name, source };
        let map = found.take(name)?;
        let Map::LpmTrie(data) = &map else {
            return Err(Error::Missing { kind: "trie", name });
        };
        let fd = data.fd().as_fd().try_clone_to_owned().map_err(|source| error(source.into()))?;
        Ok(Self { definition: table, map: map.try_into().map_err(error)?, fd, writes: 0 })
    }

    /// Adds or replaces the first `bits` of `key`.
    pub(super) fn put(&mut self, bits: u32, key: K, value: V) -> Result<(), WriteError> {
        self.writes += 1;
        let put = self.map.insert(&Key::new(bits, key), value, 0);
        put.map_err(|source| WriteError::new(self.definition, source))
    }

    /// Adds or replaces prefixes in their order, in one system call (Linux 5.13, commit f56387c534cd). With an error comes
    /// how many took effect.
    pub(super) fn put_all(&mut self, entries: impl Iterator<Item = (u32, K, V)>) -> Result<(), (usize, WriteError)> {
        let (keys, values): (Vec<Key<K>>, Vec<V>) =
            entries.map(|(bits, key, value)| (Key::new(bits, key), value)).unzip();
        let put = update_batch(self.fd.as_fd(), &keys, &values);
        self.writes += put.as_ref().map_or_else(|(done, _)| done + 1, |()| keys.len()) as u64;
        put.map_err(|(done, source)| (done, WriteError::new(self.definition, source.into())))
    }

    /// Removes a prefix; one that isn't there is fine.
    pub(super) fn delete(&mut self, bits: u32, key: K) -> Result<(), WriteError> {
        self.writes += 1;
        match self.map.remove(&Key::new(bits, key)) {
            Err(MapError::SyscallError(error)) if error.io_error.raw_os_error() == Some(libc::ENOENT) => Ok(()),
            removed => removed.map_err(|source| WriteError::new(self.definition, source)),
        }
    }

    /// Prefixes put or deleted so far, under the table's name.
    pub(super) const fn writes(&self) -> (&'static str, u64) {
        (self.definition.name, self.writes)
    }

    /// Every prefix, made into something by its length, itself and its value.
    pub(super) fn entries<T, C: FromIterator<T>>(&self, make: impl Fn(u32, K, V) -> T) -> Result<C, Error> {
        let entries = prefixes(self.fd.as_fd());
        let entries = entries.map_err(|source| Error::Read { table: self.definition.name, source })?.into_iter();
        Ok(entries.map(|(key, value)| make(key.prefix_len(), key.data(), value)).collect())
    }
}
