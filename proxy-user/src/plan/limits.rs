//! How much the tables hold, and what is said when that isn't enough.

use std::ops::AddAssign;

use proxy_common::tables::{BACKENDS, MEMBERS, SERVICE_NAMES, SERVICES, SOURCE_RANGES, Table};

use super::Image;
use crate::model::ServiceRef;

/// Most entries of each table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// `SERVICES`.
    pub services: u32,
    /// `BACKENDS`.
    pub backends: u32,
    /// `MEMBERS`.
    pub members: u32,
    /// `SERVICE_NAMES`.
    pub names: u32,
    /// `SOURCE_RANGES`.
    pub source_ranges: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            services: SERVICES.max_entries,
            backends: BACKENDS.max_entries,
            members: MEMBERS.max_entries,
            names: SERVICE_NAMES.max_entries,
            source_ranges: SOURCE_RANGES.max_entries,
        }
    }
}

/// A change of a Service that a table has no room for. None of it was carried out: the Service is served as it was
/// before, or not at all if it is new. It is tried again whenever entries become free.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error(
    "Service {service}: the change needs {needed} more entries in {table}, which has room for {room} of \
     {max_entries}; it is tried again when others go"
)]
pub struct TableFull {
    /// The Service.
    pub service: ServiceRef,
    /// Name of the table.
    pub table: &'static str,
    /// Entries that the change adds.
    pub needed: usize,
    /// Entries that are left.
    pub room: usize,
    /// Entries that the table has.
    pub max_entries: u32,
}

/// Entries that a change adds before it takes others away.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Growth {
    pub(super) services: usize,
    pub(super) backends: usize,
    pub(super) members: usize,
    pub(super) names: usize,
    pub(super) source_ranges: usize,
}

impl AddAssign for Growth {
    fn add_assign(&mut self, other: Self) {
        self.services += other.services;
        self.backends += other.backends;
        self.members += other.members;
        self.names += other.names;
        self.source_ranges += other.source_ranges;
    }
}

impl Limits {
    /// Whether `image` has room for `growth` of `service`.
    pub(super) fn check(&self, image: &Image, growth: &Growth, service: &ServiceRef) -> Result<(), TableFull> {
        let tables: [(Table, u32, usize, usize); 5] = [
            (SERVICES, self.services, image.services.len(), growth.services),
            (BACKENDS, self.backends, image.backends.len(), growth.backends),
            (MEMBERS, self.members, image.members.len(), growth.members),
            (SERVICE_NAMES, self.names, image.names.len(), growth.names),
            (SOURCE_RANGES, self.source_ranges, image.source_ranges.len(), growth.source_ranges),
        ];
        for (table, max_entries, held, needed) in tables {
            let room = (max_entries as usize).saturating_sub(held);
            if needed > room {
                return Err(TableFull { service: service.clone(), table: table.name, needed, room, max_entries });
            }
        }
        Ok(())
    }
}
