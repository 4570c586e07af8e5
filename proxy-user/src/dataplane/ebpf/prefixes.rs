//! The table of source ranges: a trie, whose entries aya walks one by one.

use std::collections::BTreeSet;

use aya::Ebpf;
use aya::maps::lpm_trie::{Key, LpmTrie};
use aya::maps::{MapData, MapError};
use proxy_common::tables::{self, SourceRange};

use super::error::Error;
use super::write::WriteError;
use crate::plan::SourcePrefix;

/// A trie of source ranges.
#[derive(Debug)]
pub(super) struct Prefixes {
    definition: tables::Table,
    map: LpmTrie<MapData, SourceRange, u32>,
    /// Prefixes put or deleted so far.
    writes: u64,
}

impl Prefixes {
    /// Takes the trie out of the loaded object.
    pub(super) fn take(ebpf: &mut Ebpf, table: tables::Table) -> Result<Self, Error> {
        let name = table.name;
        let map = ebpf.take_map(name).ok_or(Error::Missing { kind: "map", name })?;
        Ok(Self { definition: table, map: map.try_into().map_err(|source| Error::Map { name, source })?, writes: 0 })
    }

    /// Adds a prefix.
    pub(super) fn put(&mut self, prefix: &SourcePrefix) -> Result<(), WriteError> {
        self.writes += 1;
        self.map.insert(&key(prefix), 0, 0).map_err(|source| WriteError::new(self.definition, source))
    }

    /// Removes a prefix; one that isn't there is fine.
    pub(super) fn delete(&mut self, prefix: &SourcePrefix) -> Result<(), WriteError> {
        self.writes += 1;
        match self.map.remove(&key(prefix)) {
            Err(MapError::SyscallError(error)) if error.io_error.raw_os_error() == Some(libc::ENOENT) => Ok(()),
            removed => removed.map_err(|source| WriteError::new(self.definition, source)),
        }
    }

    /// Prefixes put or deleted so far, under the table's name.
    pub(super) const fn writes(&self) -> (&'static str, u64) {
        (self.definition.name, self.writes)
    }

    /// Every prefix.
    pub(super) fn entries(&self) -> Result<BTreeSet<SourcePrefix>, Error> {
        prefixes(&self.map).map_err(|source| Error::Map { name: self.definition.name, source })
    }
}

/// Every prefix of a trie.
fn prefixes(map: &LpmTrie<MapData, SourceRange, u32>) -> Result<BTreeSet<SourcePrefix>, MapError> {
    map.keys().map(|key| key.map(|key| SourcePrefix { range: key.data(), bits: key.prefix_len() })).collect()
}

fn key(prefix: &SourcePrefix) -> Key<SourceRange> {
    Key::new(prefix.bits, prefix.range)
}
