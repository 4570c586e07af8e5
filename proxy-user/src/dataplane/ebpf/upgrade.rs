//! Takes over from an agent of the neighbouring table version, under load.
//!
//! Tables of the same layout are pinned here too: old programs and new ones use one map. Flows whose layout has changed are
//! converted: before the programs are replaced, and what came in the meantime once more after it. The old version's maps
//! stay, for its programs, until each of its links runs ours.

use std::collections::BTreeSet;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};

use aya::maps::MapData;
use aya_obj::Object;
use proxy_common::flow::idle_longer_than;
use proxy_common::tables::{ALL, FLOWS, FLOWS_NEW, FlowKey, FlowRecord, Table as Definition, VERSION, previous};
use rustix::time::{ClockId, clock_gettime};

use super::batch::Batches;
use super::error::Error;
use super::history::Found;
use super::layout;
use super::pins::{Pins, pin_error};
use super::sys::object_get;
use super::table::Table;
use super::write::WriteError;
use crate::explain::explain;

/// Seconds: a record is written once a second at most, and says when in whole ones.
const SLACK: u32 = 2;

/// `FLOWS` and `FLOWS_NEW`.
pub(super) type FlowTables = [Table<FlowKey, FlowRecord>; 2];

/// The version to take over from.
#[derive(Debug)]
pub(super) struct Upgrade {
    found: Found,
    directory: PathBuf,
    /// Its flow tables, where their layout is the previous one: first `FLOWS`, then `FLOWS_NEW`.
    flows: Option<[OwnedFd; 2]>,
    /// When the last copy of its flows began: whole seconds of the kernel's monotonic clock.
    copied: Option<u32>,
}

impl Upgrade {
    /// Finds the version to take over from. Says so when there are only such that nothing can be taken from.
    pub(super) fn find(pins: &Pins) -> Result<Option<Self>, Error> {
        let mut neighbours = Vec::new();
        for directory in pins.other_versions()? {
            let Some(found) = Found::in_directory(&directory) else { continue };
            if found.is_neighbour() {
                neighbours.push(Self { found, directory, flows: None, copied: None });
            } else {
                tracing::warn!(
                    path = %directory.display(),
                    "tables of version {} are here, and this agent, of version {VERSION}, takes over from a neighbouring one \
                     only: it starts with empty tables, and connections that are translated packet by packet end; upgrade \
                     one version at a time",
                    found.version,
                );
            }
        }
        // Of two, the newer has begun to take over from the older, or the older from the newer: both have what was common.
        Ok(neighbours.into_iter().max_by_key(|upgrade| upgrade.found.version))
    }

    /// Pins what is kept here too, unless that is done, and opens what is converted. To be called before maps are made.
    pub(super) fn begin(&mut self, object: &Object, pins: &Pins) -> Result<(), Error> {
        let mut usable = BTreeSet::new();
        for table in ALL {
            if self.is_usable(object, table.name)? {
                usable.insert(table.name);
            }
        }
        let mut kept = Vec::new();
        for Definition { name, .. } in self.found.kept(|table| usable.contains(table.name)) {
            pin_here(&self.pin_of(name), &pins.maps().join(name), name)?;
            kept.push(name);
        }
        self.flows = if kept.contains(&FLOWS.name) { None } else { self.previous_flows()? };
        tracing::info!(
            from = self.found.version,
            to = VERSION,
            kept = kept.join(" "),
            converts_flows = self.flows.is_some(),
            "taking over from another table version"
        );
        Ok(())
    }

    fn pin_of(&self, name: &str) -> PathBuf {
        self.directory.join("maps").join(name)
    }

    /// Its table is there and what the object defines. Builds between two releases had other layouts under one version.
    fn is_usable(&self, object: &Object, name: &'static str) -> Result<bool, Error> {
        let path = self.pin_of(name);
        let Some(pinned) = layout::pinned(&path, name)? else { return Ok(false) };
        let definition = object.maps.get(name).ok_or(Error::Missing { kind: "map", name })?;
        Ok(layout::compare(&pinned, definition, &path).is_ok())
    }

    /// The flow tables of the previous version, if their records are what [`previous`] says.
    fn previous_flows(&self) -> Result<Option<[OwnedFd; 2]>, Error> {
        if self.found.version > VERSION {
            return Ok(None);
        }
        let tables = [self.previous_table(FLOWS.name)?, self.previous_table(FLOWS_NEW.name)?];
        let [Some(established), Some(half_open)] = tables else { return Ok(None) };
        Ok(Some([established, half_open]))
    }

    fn previous_table(&self, name: &'static str) -> Result<Option<OwnedFd>, Error> {
        let path = self.pin_of(name);
        let Some(info) = layout::pinned(&path, name)? else { return Ok(None) };
        // The kernel copies by the size of the map, not of our buffers.
        let got = (info.key_size() as usize, info.value_size() as usize);
        if got != (size_of::<FlowKey>(), size_of::<previous::FlowRecord>()) {
            return Ok(None);
        }
        object_get(&path).map(Some).map_err(|source| Error::Read { table: name, source })
    }

    /// Brings over the flows that the old programs wrote since the last time; at the first, all. What the new tables saw
    /// later stays.
    pub(super) fn copy_flows(&mut self, [established, half_open]: &mut FlowTables) -> Result<(), Error> {
        let Some([old_established, old_half_open]) = &self.flows else { return Ok(()) };
        let since = self.copied.replace(clock_gettime(ClockId::Monotonic).tv_sec.cast_unsigned() as u32);
        // In this order, one that is established in between is met twice rather than never.
        let opened = copy(old_half_open, FLOWS_NEW, since, |key, record| {
            Ok(established.get(key)?.is_none() && half_open.put_unless(key, record, |held| is_as_late(held, record))?)
        })?;
        let settled = copy(old_established, FLOWS, since, |key, record| {
            let copied = established.put_unless(key, record, |held| is_as_late(held, record))?;
            if copied {
                half_open.delete(key)?;
            }
            Ok(copied)
        })?;
        tracing::info!(established = settled, half_open = opened, "took over records of flows");
        Ok(())
    }
}

/// Hands `put` what `old` has that was seen `since` (all, without it), as today's records; returns how many it took. Where
/// there is no room, the rest stays behind: a node with flows to lose serves on.
fn copy(
    old: &OwnedFd,
    Definition { name, .. }: Definition,
    since: Option<u32>,
    mut put: impl FnMut(&FlowKey, &FlowRecord) -> Result<bool, WriteError>,
) -> Result<u64, Error> {
    let mut taken = 0;
    let mut batches = Batches::<FlowKey, previous::FlowRecord>::new(old.as_fd());
    while let Some((keys, records)) = batches.next().map_err(|source| Error::Read { table: name, source })? {
        let seen =
            |record: &previous::FlowRecord| since.is_none_or(|since| !idle_longer_than(SLACK, record.last_seen, since));
        for (key, record) in keys.iter().zip(records).filter(|(_, record)| seen(record)) {
            match put(key, &FlowRecord::from(*record)) {
                Ok(took) => taken += u64::from(took),
                Err(error) => {
                    tracing::error!("not all flows are taken over: {}", explain(&error));
                    return Ok(taken);
                }
            }
        }
    }
    Ok(taken)
}

/// What is held was seen as late as the other.
const fn is_as_late(held: &FlowRecord, other: &FlowRecord) -> bool {
    !idle_longer_than(0, held.last_seen, other.last_seen)
}

/// Pins what is pinned at `from` at `to` too; nothing to do where something is.
fn pin_here(from: &Path, to: &Path, name: &'static str) -> Result<(), Error> {
    if layout::pinned(to, name)?.is_some() {
        return Ok(());
    }
    let map = MapData::from_pin(from).map_err(|source| Error::Map { name, source })?;
    map.pin(to).map_err(|error| pin_error("pin a map at", to)(io::Error::other(error)))
}
