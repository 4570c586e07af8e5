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
    /// Those that passed and would not have if an audited policy were enforced.
    audited: u64,
    meaning: String,
}

/// A row for each reason; both lists have all of them, in one order.
pub(super) fn rows(drops: &[DropCount], audits: &[DropCount]) -> Vec<DropRow> {
    let row = |(&DropCount { reason, packets }, audits): (&DropCount, &DropCount)| {
        let what = if reason.is_refusal() { "refused" } else { "dropped" };
        DropRow {
            reason: reason.name(),
            packets,
            audited: audits.packets,
            meaning: format!("{what}: {}", meaning(reason)),
        }
    };
    drops.iter().zip(audits).map(row).collect()
}

impl Row for DropRow {
    const LIST_KIND: &'static str = "DropList";
    const COLUMNS: &'static [&'static str] = &["REASON", "PACKETS", "AUDITED"];
    const WIDE_COLUMNS: &'static [&'static str] = &["MEANING"];

    fn cells(&self) -> Vec<String> {
        vec![self.reason.into(), self.packets.to_string(), self.audited.to_string(), self.meaning.clone()]
    }
}
