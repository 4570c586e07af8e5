//! `sluice get drops`: one row for each reason.

use serde::Serialize;

use super::Row;
use crate::dataplane::ebpf::read::DropCount;
use crate::reason::meaning;

#[derive(Serialize, PartialEq, Eq, Debug)]
pub(super) struct DropRow {
    reason: &'static str,
    /// On all CPUs, since the tables were made.
    packets: u64,
    meaning: String,
}

pub(super) fn rows(counts: Vec<DropCount>) -> Vec<DropRow> {
    let row = |DropCount { reason, packets }| {
        let what = if reason.is_refusal() { "refused" } else { "dropped" };
        DropRow { reason: reason.name(), packets, meaning: format!("{what}: {}", meaning(reason)) }
    };
    counts.into_iter().map(row).collect()
}

impl Row for DropRow {
    const LIST_KIND: &'static str = "DropList";
    const COLUMNS: &'static [&'static str] = &["REASON", "PACKETS"];
    const WIDE_COLUMNS: &'static [&'static str] = &["MEANING"];

    fn cells(&self) -> Vec<String> {
        vec![self.reason.into(), self.packets.to_string(), self.meaning.clone()]
    }
}
