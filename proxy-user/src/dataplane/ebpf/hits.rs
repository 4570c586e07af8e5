//! How often each rule of a policy allowed something: a hash with a count of each CPU.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use aya::maps::{Map, MapData, MapError, PerCpuHashMap};
use aya::util::nr_cpus;
use proxy_common::tables::{RULE_HITS, Rule};

use super::batch::Batches;
use super::error::Error;
use super::found::FoundMaps;
use super::write::WriteError;

/// `RULE_HITS`, which the programs write.
pub(super) struct RuleHits {
    map: PerCpuHashMap<MapData, Rule, u64>,
    /// For walks, which aya makes entry by entry.
    fd: OwnedFd,
}

impl RuleHits {
    /// Takes the table's map.
    pub(super) fn take(found: &mut FoundMaps) -> Result<Self, Error> {
        let name = RULE_HITS.name;
        let error = |source| Error::Map { name, source };
        let map = found.take(name)?;
        let Map::PerCpuHashMap(data) = &map else {
            return Err(Error::Missing { kind: "per-CPU hash map", name });
        };
        let fd = data.fd().as_fd().try_clone_to_owned().map_err(|source| error(source.into()))?;
        Ok(Self { map: map.try_into().map_err(error)?, fd })
    }

    /// Forgets the counts of policies that are no more, whose numbers will be others'.
    pub(super) fn forget(&mut self, policies: &BTreeSet<u32>) -> Result<(), WriteError> {
        let failed = |source| WriteError::new(RULE_HITS, source);
        let hits = rule_hits(self.fd.as_fd()).map_err(|source| failed(source.into()))?;
        for rule in hits.keys().filter(|rule| policies.contains(&rule.policy)) {
            match self.map.remove(rule) {
                Err(MapError::SyscallError(error)) if error.io_error.raw_os_error() == Some(libc::ENOENT) => {}
                removed => removed.map_err(failed)?,
            }
        }
        Ok(())
    }
}

/// Counts of all CPUs together, by rule; of a map whose sizes the caller has checked.
pub(super) fn rule_hits(map: BorrowedFd<'_>) -> io::Result<BTreeMap<Rule, u64>> {
    let cpus = nr_cpus().map_err(|(_, error)| error)?;
    let mut batches = Batches::<Rule, u64>::with_values(map, cpus);
    let mut hits = BTreeMap::new();
    while let Some((rules, counts)) = batches.next()? {
        hits.extend(rules.iter().copied().zip(counts.chunks(cpus).map(|counts| counts.iter().sum::<u64>())));
    }
    Ok(hits)
}
