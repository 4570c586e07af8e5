//! Tells the programs whether connections of another proxy are alive.

use aya::Ebpf;
use aya::maps::{Array, MapData};

use super::error::Error;

/// The map's name. It isn't pinned: whoever loads programs looks for such connections first.
const TAKEOVER: &str = "TAKEOVER";

/// Leaves segments of unknown connections to conntrack, or has them refused.
pub struct TakeoverSwitch(Array<MapData, u32>);

impl TakeoverSwitch {
    /// Once only.
    pub(super) fn take(ebpf: &mut Ebpf) -> Result<Self, Error> {
        let map = ebpf.take_map(TAKEOVER).ok_or(Error::Missing { kind: "map", name: TAKEOVER })?;
        map.try_into().map(Self).map_err(|source| Error::Map { name: TAKEOVER, source })
    }

    /// From now on; refused is what a new dataplane does.
    pub fn set(&mut self, are_alive: bool) -> Result<(), Error> {
        self.0.set(0, u32::from(are_alive), 0).map_err(|source| Error::Map { name: TAKEOVER, source })
    }
}
