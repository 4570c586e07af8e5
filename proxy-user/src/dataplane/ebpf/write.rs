//! Carries out the plan's writes on the maps, and those of the node's addresses and interfaces.

use std::collections::BTreeMap;
use std::mem::discriminant;

use aya::maps::MapError;
use proxy_common::addr::Addr;
use proxy_common::tables::{
    self, Address, Backend, BackendKey, Device, Member, MemberKey, Service, ServiceKey, ServiceName, SourceRange,
};

use super::error::Error;
use super::found::FoundMaps;
use super::single::Single;
use super::table::Table;
use super::trie::Trie;
use crate::plan::{Image, SourcePrefix, Write};

/// Writes that are gathered before they go to the kernel: enough that a system call costs nothing, and no more memory than
/// that takes.
const TOGETHER: usize = 4096;

/// Why an entry couldn't be written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The table holds all it can.
    #[error("table {} is full at {} entries", table.name, table.max_entries)]
    Full {
        /// The table.
        table: tables::Table,
    },
    /// No memory for another entry.
    #[error("no memory for another entry of table {}; raise the memory limit of the agent's control group", table.name)]
    Memory {
        /// The table.
        table: tables::Table,
    },
    /// The kernel refused for another reason.
    #[error("cannot write to table {}", table.name)]
    Refused {
        /// The table.
        table: tables::Table,
        /// Why.
        source: MapError,
    },
}

impl WriteError {
    pub(super) fn new(table: tables::Table, source: MapError) -> Self {
        let errno = match &source {
            MapError::SyscallError(error) => error.io_error.raw_os_error(),
            MapError::IoError(error) => error.raw_os_error(),
            _ => None,
        };
        match errno {
            Some(libc::E2BIG | libc::ENOSPC) => Self::Full { table },
            Some(libc::ENOMEM) => Self::Memory { table },
            _ => Self::Refused { table, source },
        }
    }
}

/// A list of writes that stopped part of the way.
#[derive(Debug, thiserror::Error)]
#[error("stopped after {done} of {total} writes to the tables")]
pub struct Unfinished {
    /// How many took effect: those before the failed one.
    pub done: usize,
    /// How many there were.
    pub total: usize,
    /// Why the next one failed.
    pub source: WriteError,
}

/// Carries out writes in their order: those of one kind that follow one another together, and with an error of theirs comes
/// how many took effect.
pub(super) fn in_order<W>(
    writes: &[W],
    mut write_alike: impl FnMut(&[W]) -> Result<(), (usize, WriteError)>,
) -> Result<(), Unfinished> {
    let mut done = 0;
    let alike = writes.chunk_by(|a, b| discriminant(a) == discriminant(b));
    for chunk in alike.flat_map(|alike| alike.chunks(TOGETHER)) {
        write_alike(chunk).map_err(|(part, source)| Unfinished { done: done + part, total: writes.len(), source })?;
        done += chunk.len();
    }
    Ok(())
}

/// The tables of Services and interfaces, which user space writes.
pub(super) struct Tables {
    services: Table<ServiceKey, Service>,
    backends: Table<BackendKey, Backend>,
    members: Table<MemberKey, Member>,
    names: Table<u32, ServiceName>,
    addresses: Table<Addr, Address>,
    source_ranges: Trie<SourceRange, u32>,
    devices: Table<u32, Device>,
    epoch: Single<u32>,
}

impl Tables {
    pub(super) fn take(found: &mut FoundMaps) -> Result<Self, Error> {
        Ok(Self {
            services: Table::take(found, tables::SERVICES)?,
            backends: Table::take(found, tables::BACKENDS)?,
            members: Table::take(found, tables::MEMBERS)?,
            names: Table::take(found, tables::SERVICE_NAMES)?,
            addresses: Table::take(found, tables::ADDRESSES)?,
            source_ranges: Trie::take(found, tables::SOURCE_RANGES)?,
            devices: Table::take(found, tables::DEVICES)?,
            epoch: Single::take(found, tables::EPOCH)?,
        })
    }

    pub(super) fn epoch(&self) -> Result<u32, Error> {
        self.epoch.get()
    }

    pub(super) fn image(&self) -> Result<Image, Error> {
        Ok(Image {
            services: self.services.entries()?,
            backends: self.backends.entries()?,
            members: self.members.entries()?,
            names: self.names.entries()?,
            addresses: self.addresses.entries()?,
            source_ranges: self.source_ranges.entries(|bits, range, _| SourcePrefix { range, bits })?,
        })
    }

    pub(super) fn apply(&mut self, writes: &[Write]) -> Result<(), Unfinished> {
        in_order(writes, |alike| self.write_alike(alike))
    }

    /// Carries out writes of one kind. With an error comes how many took effect.
    fn write_alike(&mut self, writes: &[Write]) -> Result<(), (usize, WriteError)> {
        match writes {
            [Write::PutName(..), _, ..] => self.names.put_all(writes.iter().filter_map(|write| match write {
                Write::PutName(id, name) => Some((*id, **name)),
                _ => None,
            })),
            [Write::PutMember(..), _, ..] => self.members.put_all(writes.iter().filter_map(|write| match write {
                Write::PutMember(key, member) => Some((*key, *member)),
                _ => None,
            })),
            [Write::PutBackend(..), _, ..] => self.backends.put_all(writes.iter().filter_map(|write| match write {
                Write::PutBackend(key, backend) => Some((*key, *backend)),
                _ => None,
            })),
            [Write::PutService(..), _, ..] => self.services.put_all(writes.iter().filter_map(|write| match write {
                Write::PutService(key, service) => Some((*key, *service)),
                _ => None,
            })),
            [Write::PutAddress(..), _, ..] => self.addresses.put_all(writes.iter().filter_map(|write| match write {
                Write::PutAddress(addr, address) => Some((*addr, *address)),
                _ => None,
            })),
            _ => {
                writes.iter().enumerate().try_for_each(|(done, write)| self.write(write).map_err(|error| (done, error)))
            }
        }
    }

    fn write(&mut self, write: &Write) -> Result<(), WriteError> {
        match write {
            Write::PutName(id, name) => self.names.put(id, name),
            Write::DeleteName(id) => self.names.delete(id),
            Write::PutMember(key, member) => self.members.put(key, member),
            Write::DeleteMember(key) => self.members.delete(key),
            Write::PutBackend(key, backend) => self.backends.put(key, backend),
            Write::DeleteBackend(key) => self.backends.delete(key),
            Write::PutService(key, service) => self.services.put(key, service),
            Write::DeleteService(key) => self.services.delete(key),
            Write::PutAddress(addr, address) => self.addresses.put(addr, address),
            Write::DeleteAddress(addr) => self.addresses.delete(addr),
            Write::PutSourceRange(key) => self.source_ranges.put(key.bits, key.range, 0),
            Write::DeleteSourceRange(key) => self.source_ranges.delete(key.bits, key.range),
            Write::AdvanceEpoch => self.epoch.update(|epoch| epoch.wrapping_add(1)),
        }
    }

    pub(super) fn devices(&self) -> Result<BTreeMap<u32, Device>, Error> {
        self.devices.entries()
    }

    pub(super) fn set_device(&mut self, ifindex: u32, device: Device) -> Result<(), WriteError> {
        self.devices.put(&ifindex, &device)
    }

    pub(super) fn remove_device(&mut self, ifindex: u32) -> Result<(), WriteError> {
        self.devices.delete(&ifindex)
    }

    /// Name of each table with the entries put or deleted so far.
    pub(super) const fn writes(&self) -> [(&'static str, u64); 8] {
        [
            self.services.writes(),
            self.backends.writes(),
            self.members.writes(),
            self.names.writes(),
            self.addresses.writes(),
            self.source_ranges.writes(),
            self.devices.writes(),
            self.epoch.writes(),
        ]
    }
}
