//! The report on a terminal.

use std::io::Write as _;

use tabwriter::TabWriter;

use super::Report;
use super::grid::{Grid, LEGEND, grids};

impl Report {
    /// A table for each measure, and what was left out.
    #[must_use]
    pub fn table(&self) -> String {
        let table = |grid: &Grid| {
            let lines = std::iter::once(&grid.heading).chain(&grid.rows).map(|row| row.join("\t"));
            format!("{}\n{}\n\n", grid.title, aligned(&lines.collect::<Vec<_>>().join("\n")))
        };
        let mut parts: Vec<_> = grids(self).iter().map(table).collect();
        parts.extend(self.notes().map(|(heading, lines)| format!("{heading}:\n  {}\n\n", lines.join("\n  "))));
        let at = &self.environment;
        parts.push(format!("{LEGEND}\nLinux {}, {}, commit {}, {}\n", at.kernel, at.cpu, at.commit, at.date));
        parts.concat()
    }
}

fn aligned(lines: &str) -> String {
    let mut writer = TabWriter::new(Vec::new()).padding(3);
    // Memory takes whatever is written.
    let _ = writeln!(writer, "{lines}");
    let bytes = writer.into_inner().unwrap_or_else(|_| lines.into());
    let text = String::from_utf8_lossy(&bytes);
    text.lines().map(|line| format!("  {}", line.trim_end())).collect::<Vec<_>>().join("\n")
}
