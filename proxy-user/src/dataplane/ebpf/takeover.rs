//! Tells the programs what of Services is another proxy's.

use std::collections::BTreeSet;
use std::path::PathBuf;

use aya::Ebpf;
use aya::maps::{Array, Map, MapData, MapError, MapInfo};
use aya::programs::loaded_programs;
use proxy_common::takeover;

use super::error::Error;
use super::pinned_link;

/// The map's name. It isn't pinned: whoever loads programs looks for such connections first.
const TAKEOVER: &str = "TAKEOVER";

/// What the programs leave to conntrack.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Left {
    /// Nothing: segments of unknown connections are refused, as a new dataplane does.
    Nothing,
    /// Segments of unknown connections.
    Connections,
    /// Those, and what begins.
    All,
}

/// Tells the programs of one agent.
pub struct TakeoverSwitch(Array<MapData, u32>);

impl TakeoverSwitch {
    /// Once only.
    pub(super) fn take(ebpf: &mut Ebpf) -> Result<Self, Error> {
        let map = ebpf.take_map(TAKEOVER).ok_or(Error::Missing { kind: "map", name: TAKEOVER })?;
        map.try_into().map(Self).map_err(map_error)
    }

    /// From now on.
    pub fn set(&mut self, left: Left) -> Result<(), Error> {
        let value = match left {
            Left::Nothing => takeover::OVER,
            Left::Connections => takeover::CONNECTIONS,
            Left::All => takeover::ALL,
        };
        self.0.set(0, value, 0).map_err(map_error)
    }
}

/// Has all programs that these pinned links attach, of whatever agent, leave what begins to rules. Whether there are any.
pub(super) fn leave_all(links: &[PathBuf]) -> Result<bool, Error> {
    let attached = links.iter().map(|link| pinned_link::program(link)).collect::<Result<BTreeSet<u32>, _>>()?;
    // A program or map may go while the lists are read.
    let programs = loaded_programs().flatten().filter(|program| attached.contains(&program.id()));
    let maps: BTreeSet<u32> = programs.filter_map(|program| program.map_ids().ok().flatten()).flatten().collect();
    for id in maps {
        if MapInfo::from_id(id).is_ok_and(|map| map.name_as_str() == Some(TAKEOVER)) {
            let map = MapData::from_id(id).map_err(map_error)?;
            TakeoverSwitch(Map::Array(map).try_into().map_err(map_error)?).set(Left::All)?;
        }
    }
    Ok(!attached.is_empty())
}

fn map_error(source: MapError) -> Error {
    Error::Map { name: TAKEOVER, source }
}
