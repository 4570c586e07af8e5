//! The report on a terminal.

use std::io::Write as _;

use tabwriter::TabWriter;

use super::Report;
use super::grid::{LEGEND, grids};

impl Report {
    /// A table for each measure, and what was left out.
    #[must_use]
    pub fn table(&self) -> String {
        let mut text = String::new();
        for grid in grids(self) {
            let lines: Vec<_> = std::iter::once(&grid.heading).chain(&grid.rows).map(|row| row.join("\t")).collect();
            text += &format!("{}\n{}\n\n", grid.title, aligned(&lines.join("\n")));
        }
        for (heading, lines) in self.notes() {
            text += &format!("{heading}:\n  {}\n\n", lines.join("\n  "));
        }
        let at = &self.environment;
        text + &format!("{LEGEND}\nLinux {}, {}, commit {}, {}\n", at.kernel, at.cpu, at.commit, at.date)
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
