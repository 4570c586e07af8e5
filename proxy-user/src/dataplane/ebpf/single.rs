//! A table of one entry that is always there.

use aya::Pod;
use aya::maps::{Array, MapData};
use proxy_common::tables;

use super::error::Error;
use super::found::FoundMaps;
use super::write::WriteError;

/// A table of one `V`.
pub(super) struct Single<V: Pod> {
    definition: tables::Table,
    map: Array<MapData, V>,
    /// Times it was set so far.
    writes: u64,
}

impl<V: Pod> Single<V> {
    /// Takes the table's map. An error when its value has another size.
    pub(super) fn take(found: &mut FoundMaps, table: tables::Table) -> Result<Self, Error> {
        let name = table.name;
        let map = found.take(name)?;
        Ok(Self { definition: table, map: map.try_into().map_err(|source| Error::Map { name, source })?, writes: 0 })
    }

    pub(super) fn get(&self) -> Result<V, Error> {
        self.map.get(&0, 0).map_err(|source| Error::Map { name: self.definition.name, source })
    }

    pub(super) fn set(&mut self, value: V) -> Result<(), WriteError> {
        self.writes += 1;
        self.map.set(0, value, 0).map_err(|source| WriteError::new(self.definition, source))
    }

    /// Sets it to what `next` makes of it.
    pub(super) fn update(&mut self, next: impl FnOnce(V) -> V) -> Result<(), WriteError> {
        let now = self.map.get(&0, 0).map_err(|source| WriteError::new(self.definition, source))?;
        self.set(next(now))
    }

    /// Times it was set so far, under the table's name.
    pub(super) const fn writes(&self) -> (&'static str, u64) {
        (self.definition.name, self.writes)
    }
}
