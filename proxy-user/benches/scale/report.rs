//! What was measured.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::stopwatch::{Percentiles, Took};

/// Everything; lists are in the order of `services`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Report {
    /// Release of the kernel.
    pub(crate) kernel: String,
    /// Services of each size.
    pub(crate) services: [u32; 3],
    /// Endpoints of a Service.
    pub(crate) endpoints: u32,
    /// Changes at each size.
    pub(crate) changes: u32,
    pub(crate) first: Vec<First>,
    pub(crate) restart: Vec<Restart>,
    pub(crate) change: Vec<Change>,
    pub(crate) agent: Vec<Agent>,
}

/// The first full state, by the steps of the way.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct First {
    /// Files to events.
    pub(crate) decode: Took,
    /// Events to the model.
    pub(crate) model: Took,
    /// Model to writes.
    pub(crate) plan: Took,
    /// Writes to the kernel.
    pub(crate) kernel: Took,
    /// Table -> entries written.
    pub(crate) writes: BTreeMap<&'static str, u64>,
    /// Table -> bytes the kernel charges for it.
    pub(crate) map_bytes: BTreeMap<&'static str, u64>,
}

/// A second agent on the tables of the first.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Restart {
    /// Tables read, compared with the objects, differences written.
    pub(crate) took: Took,
    /// Entries written, the one step of `EPOCH` not counted.
    pub(crate) writes: u64,
}

/// One endpoint's change, from the object to the kernel.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Change {
    /// Most entries that one change wrote.
    pub(crate) most_writes: u64,
    /// Of the whole: change noted, planned, and in the kernel.
    pub(crate) wall_micros: Percentiles,
    /// The same on the CPU.
    pub(crate) cpu_micros: Percentiles,
}

/// The agent as a process of its own, on a directory of manifests.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Agent {
    /// From its start until `/readyz` says yes.
    pub(crate) ready: Took,
    /// Resident memory when ready.
    pub(crate) resident_bytes: u64,
    /// Most resident memory until then.
    pub(crate) peak_bytes: u64,
    /// From the file's rename until the kernel has the change.
    pub(crate) change_millis: Percentiles,
    /// Its CPU time for a change, waiting included.
    pub(crate) change_cpu_micros: f64,
}

impl Report {
    pub(crate) fn new(services: [u32; 3], endpoints: u32, changes: u32) -> Self {
        let kernel = rustix::system::uname().release().to_string_lossy().into_owned();
        let (first, restart, change, agent) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Self { kernel, services, endpoints, changes, first, restart, change, agent }
    }
}
