//! The rows as a table.

use std::collections::BTreeSet;
use std::io::Write as _;

use tabwriter::TabWriter;

use super::row::{Row, Seen};

const HEADING: &str = "SERVICE\tFROM\tTO\tANSWERED BY\tCLIENT ADDRESS SEEN\tPASS";

/// Aligned columns, with a heading for each step; a row that fails also says what it should have been.
#[must_use]
pub fn table(rows: &[Row]) -> String {
    let mut steps: Vec<(&str, Vec<String>)> = Vec::new();
    for row in rows {
        match steps.last_mut() {
            Some((step, lines)) if *step == row.step => lines.extend(lines_of(row)),
            _ => steps.push((&row.step, lines_of(row))),
        }
    }
    let tables: Vec<_> = steps.iter().map(|(step, lines)| format!("\n{step}:\n{}\n", aligned(lines))).collect();
    tables.concat()
}

fn lines_of(row: &Row) -> Vec<String> {
    let mut lines = seen(&row.answers);
    lines.extend(row.errors.iter().map(|error| format!("nobody ({error})\t")));
    if !row.pass {
        let expected = if row.expected.is_empty() { vec!["nobody\t".to_owned()] } else { seen(&row.expected) };
        lines.extend(expected.iter().map(|line| format!("should be: {line}")));
    }
    let mut first = format!("{}\t{}\t{}", row.service, row.from, row.to);
    let mut pass = if row.pass { "yes" } else { "NO" };
    for line in &mut lines {
        *line = format!("{first}\t{line}\t{pass}");
        ("\t\t").clone_into(&mut first);
        pass = "";
    }
    lines
}

fn seen(answers: &BTreeSet<Seen>) -> Vec<String> {
    answers.iter().map(|seen| format!("{}\t{}", seen.pod, seen.client)).collect()
}

fn aligned(lines: &[String]) -> String {
    let mut writer = TabWriter::new(Vec::new()).padding(3);
    let text = format!("{HEADING}\n{}\n", lines.join("\n"));
    // Memory takes whatever is written.
    let _ = writer.write_all(text.as_bytes());
    let bytes = writer.into_inner().unwrap_or_else(|_| text.into_bytes());
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<_> = text.lines().map(str::trim_end).collect();
    lines.join("\n")
}
