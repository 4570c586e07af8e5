//! Removes flows that are over: finds candidates here, has the kernel decide.
//!
//! A flow may be seen again between our look at it and its removal. So this only names candidates to the program
//! `sweep_flows`, which looks again and removes in the kernel.

use std::mem::size_of;
use std::os::fd::{AsFd as _, OwnedFd};

use proxy_common::sweep::COUNT_OFFSET;
use proxy_common::tables::{FlowKey, FlowRecord};
use rustix::time::{ClockId, clock_gettime};

use super::batch::Batches;
use super::error::Error;
use super::sys::run_program;

const MAX_KEYS: usize = proxy_common::sweep::MAX_KEYS as usize;

/// What a sweep did.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Swept {
    /// Records looked at in `FLOWS`.
    pub established: u64,
    /// Records looked at in `FLOWS_NEW`.
    pub half_open: u64,
    /// Records that seemed over.
    pub candidates: u64,
    /// Flows the kernel removed.
    pub removed: u64,
}

/// Sweeps the flow tables. Independent of the dataplane it comes from, so that it can have a thread of its own.
#[derive(Debug)]
pub struct Sweeper {
    pub(super) program: OwnedFd,
    /// `FLOWS`.
    pub(super) established: (&'static str, OwnedFd),
    /// `FLOWS_NEW`.
    pub(super) half_open: (&'static str, OwnedFd),
}

impl Sweeper {
    /// Walks through the flow tables once. `expired` tells, of a record and the kernel's monotonic clock in whole
    /// seconds, whether its flow may be over; what it names is removed if the kernel agrees.
    pub fn sweep(&self, expired: impl Fn(&FlowKey, &FlowRecord, u32) -> bool) -> Result<Swept, Error> {
        let now = clock_gettime(ClockId::Monotonic).tv_sec.cast_unsigned() as u32;
        let mut swept = Swept::default();
        swept.established = self.sweep_table(&self.established, now, &expired, &mut swept)?;
        swept.half_open = self.sweep_table(&self.half_open, now, &expired, &mut swept)?;
        Ok(swept)
    }

    /// Walks through one table; returns how many records it held.
    fn sweep_table(
        &self,
        (table, fd): &(&'static str, OwnedFd),
        now: u32,
        expired: impl Fn(&FlowKey, &FlowRecord, u32) -> bool,
        swept: &mut Swept,
    ) -> Result<u64, Error> {
        let mut candidates = Vec::with_capacity(MAX_KEYS);
        let mut examined = 0;
        let mut batches = Batches::<FlowKey, FlowRecord>::new(fd.as_fd());
        while let Some((keys, records)) = batches.next().map_err(|source| Error::Read { table, source })? {
            examined += keys.len() as u64;
            for (key, _) in keys.iter().zip(records).filter(|(key, record)| expired(key, record, now)) {
                candidates.push(*key);
                if candidates.len() == MAX_KEYS {
                    self.remove(&mut candidates, swept)?;
                }
            }
        }
        self.remove(&mut candidates, swept)?;
        Ok(examined)
    }

    fn remove(&self, candidates: &mut Vec<FlowKey>, swept: &mut Swept) -> Result<(), Error> {
        if candidates.is_empty() {
            return Ok(());
        }
        let removed = run_program(self.program.as_fd(), &message(candidates)).map_err(Error::Sweep)?;
        swept.candidates += candidates.len() as u64;
        swept.removed += u64::from(removed);
        candidates.clear();
        Ok(())
    }
}

/// The packet that names candidates; see [`proxy_common::sweep`].
fn message(keys: &[FlowKey]) -> Vec<u8> {
    let mut packet = vec![0; COUNT_OFFSET as usize];
    packet.extend((keys.len() as u32).to_ne_bytes());
    for key in keys {
        // SAFETY: a FlowKey is repr(C) without padding, so each of its bytes is initialised.
        let bytes = unsafe { std::slice::from_raw_parts((&raw const *key).cast::<u8>(), size_of::<FlowKey>()) };
        packet.extend(bytes);
    }
    packet
}
