//! Changes of rules, for `iptables-restore` and `ip6tables-restore`.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::{Command, Stdio};

use proxy_common::addr::Family;

use super::error::Error;

/// How long to wait for the lock that programs share which use the legacy backend, in seconds: as long as kube-proxy does.
const LOCK: &str = "5";

/// A table of netfilter's.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) enum Table {
    /// Destinations and sources of connections.
    Nat,
    /// What may pass.
    Filter,
}

impl Table {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Nat => "nat",
            Self::Filter => "filter",
        }
    }
}

/// What is to change in one family's rules. Each table changes as a whole or not at all, in the order of [`Table`].
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Restore(BTreeMap<Table, Vec<String>>);

impl Restore {
    /// A line of the table's part: `:CHAIN - [0:0]` makes a chain, or empties it; `-A`, `-I`, `-D`, `-X` as for iptables.
    pub(super) fn push(&mut self, table: Table, line: impl Into<String>) {
        self.0.entry(table).or_default().push(line.into());
    }

    /// More lines, after those of each table.
    pub(super) fn extend(&mut self, other: Self) {
        for (table, lines) in other.0 {
            self.0.entry(table).or_default().extend(lines);
        }
    }

    /// Nothing is to change.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the tool of a family is there.
    ///
    /// # Errors
    /// It isn't.
    pub(super) fn check(family: Family) -> Result<(), Error> {
        runs(tool(family))
    }

    /// Has the kernel take it.
    ///
    /// # Errors
    /// The tool isn't there or refuses a line. Tables before the refused one have changed.
    pub(super) fn run(&self, family: Family) -> Result<(), Error> {
        if self.is_empty() {
            return Ok(());
        }
        let tool = tool(family);
        let start = |source| Error::Start { tool, source };
        let mut command = Command::new(tool);
        command.args(["--noflush", "--wait", LOCK]);
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().map_err(start)?;
        let text = self.to_text();
        // Its own message tells more than a broken pipe does.
        let _ = child.stdin.take().map(|mut stdin| stdin.write_all(text.as_bytes()));
        let output = child.wait_with_output().map_err(start)?;
        if output.status.success() {
            return Ok(());
        }
        Err(Error::Refused { tool, message: String::from_utf8_lossy(&output.stderr).trim().to_owned() })
    }

    fn to_text(&self) -> String {
        let mut text = String::new();
        for (table, lines) in &self.0 {
            text.push('*');
            text.push_str(table.name());
            text.push('\n');
            for line in lines {
                text.push_str(line);
                text.push('\n');
            }
            text.push_str("COMMIT\n");
        }
        text
    }
}

/// Whether a tool is there.
///
/// # Errors
/// It isn't.
pub(super) fn runs(tool: &'static str) -> Result<(), Error> {
    let mut command = Command::new(tool);
    command.arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().map(drop).map_err(|source| Error::Start { tool, source })
}

/// The tool of a family.
const fn tool(family: Family) -> &'static str {
    match family {
        Family::V4 => "iptables-restore",
        Family::V6 => "ip6tables-restore",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_come_one_after_the_other_each_with_its_commit() {
        let mut restore = Restore::default();
        restore.push(Table::Filter, "-A FORWARD -j SLUICE-FORWARD");
        restore.push(Table::Nat, ":SLUICE-SERVICES - [0:0]");
        let text = restore.to_text();
        assert_eq!(text, "*nat\n:SLUICE-SERVICES - [0:0]\nCOMMIT\n*filter\n-A FORWARD -j SLUICE-FORWARD\nCOMMIT\n");
    }
}
