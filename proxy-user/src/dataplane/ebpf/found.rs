//! The maps of the tables: those that a loaded object has, or those that are there without programs.

use std::collections::BTreeMap;
use std::io;

use aya::Ebpf;
use aya::maps::{Map, MapData};
use aya_obj::Object;
use proxy_common::tables::{
    AFFINITY, ALL, FLOWS, FLOWS_NEW, FRAGMENTS, SOCK_BACKEND, SOCK_ORIGIN, SOURCE_PORTS, Table,
};

use super::error::Error;
use super::layout;
use super::pins::{Pins, pin_error};

/// Tables that only programs write: nobody needs them without, and most cost memory empty.
pub(super) const OF_PROGRAMS: [Table; 7] =
    [FLOWS, FLOWS_NEW, SOURCE_PORTS, SOCK_BACKEND, SOCK_ORIGIN, FRAGMENTS, AFFINITY];

/// Maps by the names of their tables, until somebody takes them.
pub(super) struct FoundMaps(BTreeMap<&'static str, Map>);

impl FoundMaps {
    /// Those of a loaded object.
    pub(super) fn of(ebpf: &mut Ebpf) -> Self {
        Self(ALL.iter().filter_map(|table| Some((table.name, ebpf.take_map(table.name)?))).collect())
    }

    /// Those that are pinned, whose layout was checked; what isn't is made and pinned, but for [`OF_PROGRAMS`].
    pub(super) fn without_programs(object: &Object, pins: &Pins) -> Result<Self, Error> {
        let needed = ALL.into_iter().filter(|table| !OF_PROGRAMS.iter().any(|it| it.name == table.name));
        let maps = needed.map(|Table { name, .. }| Ok((name, open(object, pins, name)?)));
        Ok(Self(maps.collect::<Result<_, Error>>()?))
    }

    /// The map of a table, once.
    pub(super) fn take(&mut self, name: &'static str) -> Result<Map, Error> {
        self.0.remove(name).ok_or(Error::Missing { kind: "map", name })
    }
}

fn open(object: &Object, pins: &Pins, name: &'static str) -> Result<Map, Error> {
    let error = |source| Error::Map { name, source };
    let pin = pins.maps().join(name);
    let data = if layout::pinned(&pin, name)?.is_some() {
        MapData::from_pin(&pin).map_err(error)?
    } else {
        let definition = object.maps.get(name).ok_or(Error::Missing { kind: "map", name })?;
        let data = MapData::create(definition.clone(), name, None).map_err(error)?;
        data.pin(&pin).map_err(|source| pin_error("pin a map at", &pin)(io::Error::other(source)))?;
        data
    };
    Map::from_map_data(data).map_err(error)
}
