//! The report as a section of a page.

use super::Report;
use super::grid::{LEGEND, grids};

impl Report {
    /// A section with the day as its heading.
    #[must_use]
    pub fn markdown(&self) -> String {
        let at = &self.environment;
        let mut text = format!(
            "## {}\n\nLinux {}, {}, commit {}: `{}`\n\n{LEGEND}\n\n",
            at.date, at.kernel, at.cpu, at.commit, at.command
        );
        for grid in grids(self) {
            let row = |cells: &Vec<String>| format!("| {} |\n", cells.join(" | "));
            let rows: String = grid.rows.iter().map(row).collect();
            text += &format!(
                "**{}**\n\n{}|{}\n{rows}\n",
                grid.title,
                row(&grid.heading),
                "---|".repeat(grid.heading.len())
            );
        }
        for (heading, lines) in self.notes() {
            text += &format!("{heading}:\n\n- {}\n\n", lines.join("\n- "));
        }
        text
    }
}
