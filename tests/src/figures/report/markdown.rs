//! The report as a section of a page.

use super::Report;
use super::grid::{Grid, LEGEND, grids};

impl Report {
    /// A section with the day as its heading.
    #[must_use]
    pub fn markdown(&self) -> String {
        let at = &self.environment;
        let mut parts = vec![format!(
            "## {}\n\nLinux {}, {}, commit {}: `{}`\n\n{LEGEND}\n\n",
            at.date, at.kernel, at.cpu, at.commit, at.command
        )];
        parts.extend(grids(self).iter().map(section));
        parts.extend(self.notes().map(|(heading, lines)| format!("{heading}:\n\n- {}\n\n", lines.join("\n- "))));
        parts.concat()
    }
}

fn section(grid: &Grid) -> String {
    let row = |cells: &Vec<String>| format!("| {} |\n", cells.join(" | "));
    let rows: String = grid.rows.iter().map(row).collect();
    let rule = "---|".repeat(grid.heading.len());
    format!("**{}**\n\n{}|{rule}\n{rows}\n", grid.title, row(&grid.heading))
}
