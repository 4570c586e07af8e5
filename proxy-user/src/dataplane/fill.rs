//! How full a table is.

use std::fmt;

use proxy_common::tables::{AFFINITY, SOCK_BACKEND, SOCK_ORIGIN, Table};

/// Tables of what was used last. Only newer entries take old ones out of them, so they fill up on every node in time, and
/// what they forget is old.
const MEMORIES: [&str; 3] = [AFFINITY.name, SOCK_BACKEND.name, SOCK_ORIGIN.name];

/// How full a table is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fill {
    /// The table.
    pub table: Table,
    /// Entries it holds.
    pub entries: u64,
    /// When it is full its oldest entries make room for new ones (LRU); else new ones are refused.
    pub evicts: bool,
}

impl Fill {
    /// Whether it holds four fifths of what it takes, or more, and that isn't what it is for: time to look who fills it.
    #[must_use]
    pub fn is_nearly_full(&self) -> bool {
        !MEMORIES.contains(&self.table.name) && self.entries * 5 >= u64::from(self.table.max_entries) * 4
    }
}

impl fmt::Display for Fill {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { table, entries, evicts } = self;
        let when_full = if *evicts { "the oldest make room for new ones" } else { "new ones are refused" };
        write!(f, "table {} holds {entries} of {} entries; when it is full {when_full}", table.name, table.max_entries)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_nearly_full_from_four_fifths_on() {
        let fill = |entries| Fill { table: Table::new("TABLE", 10), entries, evicts: false };
        assert!(!fill(7).is_nearly_full());
        assert!(fill(8).is_nearly_full());
        assert!(fill(10).is_nearly_full());
    }
    #[test]
    fn a_memory_may_be_full() {
        let full = |table: Table| Fill { entries: table.max_entries.into(), table, evicts: true }.is_nearly_full();
        assert!(!full(AFFINITY) && !full(SOCK_ORIGIN));
        assert!(full(proxy_common::tables::FLOWS_NEW), "half-open flows are swept: somebody opens too many");
    }
}
