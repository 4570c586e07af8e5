//! How full a table is.

use std::fmt;

use proxy_common::tables::Table;

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
    /// Whether it holds four fifths of what it takes, or more: time to look who fills it.
    #[must_use]
    pub const fn is_nearly_full(&self) -> bool {
        self.entries * 5 >= self.table.max_entries as u64 * 4
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
        let fill = |entries| Fill { table: Table { name: "TABLE", max_entries: 10 }, entries, evicts: false };
        assert!(!fill(7).is_nearly_full());
        assert!(fill(8).is_nearly_full());
        assert!(fill(10).is_nearly_full());
    }
}
