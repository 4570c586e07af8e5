//! The tables that the agent writes: with programs that read them, or with rules that are made of them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use aya::maps::{MapData, PerCpuArray};
use aya_obj::Object;
use proxy_common::tables::{self, Device, Table};

use super::error::Error;
use super::found::{FoundMaps, OF_PROGRAMS};
use super::pins::{self, Pins, entries, pin_error};
use super::policy::PolicyTables;
use super::read::{DropCount, drop_counts};
use super::upgrade::Upgrade;
use super::write::{Tables, Unfinished, WriteError};
use super::{history, layout, sysctl, takeover, unhook};
use crate::plan::{Image, PolicyImage, PolicyWrite, Write};

/// The tables of one node: one agent's, until this is dropped. Dropping leaves them in place.
pub struct Maps {
    tables: Tables,
    policy: PolicyTables,
    drops: PerCpuArray<MapData, u64>,
    audits: PerCpuArray<MapData, u64>,
    pub(super) upgrade: Option<Upgrade>,
    pub(super) pins: Pins,
}

/// The pins, and what of another version is taken over, before maps are opened.
pub(super) struct Prepared {
    pub(super) pins: Pins,
    pub(super) upgrade: Option<Upgrade>,
    pub(super) definitions: Object,
}

/// Locks the pins, and has them be of this version.
pub(super) fn prepare(object: &[u8], bpffs: &Path) -> Result<Prepared, Error> {
    let pins = Pins::create(bpffs)?;
    let definitions = Object::parse(object).map_err(Error::Object)?;
    let mut upgrade = Upgrade::find(&pins)?;
    if let Some(upgrade) = &mut upgrade {
        upgrade.begin(&definitions, &pins)?;
    }
    layout::check(&definitions, &pins.maps())?;
    history::note(&pins.maps())?;
    Ok(Prepared { pins, upgrade, definitions })
}

impl Maps {
    /// Takes over the tables that are pinned, or makes them; loads no program, and leaves those that run in force. Tables that
    /// only programs write are not made.
    ///
    /// # Errors
    /// The kernel refuses a map, or another agent has them.
    pub fn open(object: &[u8], bpffs: &Path) -> Result<Self, Error> {
        let Prepared { pins, upgrade, definitions } = prepare(object, bpffs)?;
        let mut found = FoundMaps::without_programs(&definitions, &pins)?;
        Self::take(&mut found, pins, upgrade)
    }

    pub(super) fn take(found: &mut FoundMaps, pins: Pins, upgrade: Option<Upgrade>) -> Result<Self, Error> {
        Ok(Self {
            tables: Tables::take(found)?,
            policy: PolicyTables::take(found)?,
            drops: take_counts(found, tables::DROPS)?,
            audits: take_counts(found, tables::AUDITS)?,
            upgrade,
            pins,
        })
    }

    /// Whether another table version's programs are in force, whose tables ours may lack: until
    /// [`Maps::remove_other_versions`].
    #[must_use]
    pub const fn is_upgrading(&self) -> bool {
        self.upgrade.is_some()
    }

    /// How often an endpoint left a Service; 0 until the first full state of Services is written.
    pub fn epoch(&self) -> Result<u32, Error> {
        self.tables.epoch()
    }

    /// What the tables of Services hold.
    pub fn read_image(&self) -> Result<Image, Error> {
        self.tables.image()
    }

    /// Carries out writes in their order. At an error those before it have taken effect.
    pub fn apply(&mut self, writes: &[Write]) -> Result<(), Unfinished> {
        self.tables.apply(writes)
    }

    /// What the tables of policy hold.
    pub fn read_policy_image(&self) -> Result<PolicyImage, Error> {
        self.policy.image()
    }

    /// Carries out writes to the tables of policy in their order. At an error those before it have taken effect.
    pub fn apply_policy(&mut self, writes: &[PolicyWrite]) -> Result<(), Unfinished> {
        self.policy.apply(writes)
    }

    /// Entries written and deleted so far, of every table.
    #[must_use]
    pub fn writes(&self) -> u64 {
        self.writes_by_table().map(|(_, writes)| writes).sum()
    }

    /// The same by the names of the tables.
    pub fn writes_by_table(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.tables.writes().into_iter().chain(self.policy.writes())
    }

    /// The interfaces as the tables have them.
    pub fn devices(&self) -> Result<BTreeMap<u32, Device>, Error> {
        self.tables.devices()
    }

    /// Puts an interface into the tables; before programs run there.
    pub fn set_device(&mut self, ifindex: u32, device: Device) -> Result<(), WriteError> {
        self.tables.set_device(ifindex, device)
    }

    /// Takes an interface out of the tables; after programs ran there.
    pub fn remove_device(&mut self, ifindex: u32) -> Result<(), WriteError> {
        self.tables.remove_device(ifindex)
    }

    /// Packets dropped so far, by reason.
    pub fn drops(&self) -> Result<Vec<DropCount>, Error> {
        drop_counts(&self.drops).map_err(|source| Error::Map { name: tables::DROPS.name, source })
    }

    /// Packets that passed so far and would not have if audited policies were enforced, by reason.
    pub fn audits(&self) -> Result<Vec<DropCount>, Error> {
        drop_counts(&self.audits).map_err(|source| Error::Map { name: tables::AUDITS.name, source })
    }

    /// Removes links and maps of agents with other layouts. For when what we have has taken the place of theirs.
    pub fn remove_other_versions(&mut self) -> Result<(), Error> {
        self.upgrade = None;
        for version in self.pins.other_versions()? {
            let removed = pins::remove_version(&version)?;
            tracing::info!(path = %version.display(), pins = removed.len(), "removed the pins of another version");
        }
        Ok(())
    }

    /// Has every program that a link of an agent attaches, of whatever version, leave what begins to rules, and go on with
    /// what runs. Whether there are any.
    pub fn leave_all_to_rules(&self) -> Result<bool, Error> {
        let mut links = entries(&self.pins.links())?;
        for other in self.pins.other_links()? {
            links.extend(entries(&other)?);
        }
        takeover::leave_all(&links)
    }

    /// Detaches every program that an agent attached, of whatever version, undoes the kernel settings that were changed for
    /// them, and removes the tables that only they write. Returns what there was of it.
    pub fn remove_programs(&mut self) -> Result<Vec<String>, Error> {
        let mut removed = unhook::links(&self.pins)?;
        self.remove_other_versions()?;
        removed.extend(unhook::filters()?);
        removed.extend(sysctl::restore(&self.pins.sysctls())?);
        for Table { name, .. } in OF_PROGRAMS {
            let pin = self.pins.maps().join(name);
            if pin.exists() {
                fs::remove_file(&pin).map_err(pin_error("remove", &pin))?;
            }
        }
        Ok(removed)
    }

    /// Whether an agent noted that there are rules of it; they go with the machine, as the note does.
    #[must_use]
    pub fn has_rules(&self) -> bool {
        self.pins.rules().exists()
    }

    /// Notes that there are rules, before the first is written, or that there are none any more, after the last went.
    pub fn note_rules(&self, are_there: bool) -> Result<(), Error> {
        let note = self.pins.rules();
        if are_there {
            return super::mount::make_directories(&note).map_err(pin_error("make", &note));
        }
        pins::remove_directory(&note).map(drop)
    }
}

fn take_counts(found: &mut FoundMaps, Table { name, .. }: Table) -> Result<PerCpuArray<MapData, u64>, Error> {
    found.take(name)?.try_into().map_err(|source| Error::Map { name, source })
}
