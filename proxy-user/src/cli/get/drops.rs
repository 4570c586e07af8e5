//! `sluice get drops`: one row for each reason.

use serde::Serialize;

use super::Row;
use crate::cli::reason::meaning;
use crate::dataplane::ebpf::read::DropCount;

#[derive(Serialize, PartialEq, Eq, Debug)]
pub(super) struct DropRow {
    reason: &'static str,
    /// On all CPUs, since the tables were made.
    packets: u64,
    meaning: &'static str,
}

pub(super) fn rows(counts: Vec<DropCount>) -> Vec<DropRow> {
    let row = |DropCount { reason, packets }| DropRow { reason: reason.name(), packets, meaning: meaning(reason) };
    counts.into_iter().map(row).collect()
}

impl Row for DropRow {
    const LIST_KIND: &'static str = "DropList";
    const COLUMNS: &'static [&'static str] = &["REASON", "PACKETS"];
    const WIDE_COLUMNS: &'static [&'static str] = &["MEANING"];

    fn cells(&self) -> Vec<String> {
        vec![self.reason.into(), self.packets.to_string(), self.meaning.into()]
    }
}
