//! The table of what kube-proxy promises says of each promise whether it is kept, and by which test: every number is there
//! once, and every test exists. So do those that the page of guarantees names.

use std::collections::BTreeSet;
use std::fs;

use anyhow::{Context as _, Result, bail};

use super::test_names;
use crate::workspace;

const PAGE: &str = "docs/kube-proxy-parity.md";
const GUARANTEES: &str = "docs/guarantees.md";
/// How many statements each section has.
const STATEMENTS: [usize; 10] = [31, 31, 22, 10, 8, 16, 17, 31, 23, 5];
/// What may be said of a statement, and whether a test has to prove it.
const VERDICTS: [(&str, bool); 4] = [("kept", true), ("better", true), ("not yet", false), ("n/a", false)];

pub(super) fn check() -> Result<()> {
    let read = |page| fs::read_to_string(workspace::root().join(page)).with_context(|| format!("cannot read {page}"));
    let tests = test_names::all()?;
    let complaints = complaints(&read(PAGE)?, &tests);
    if !complaints.is_empty() {
        bail!("{PAGE}: {}", complaints.join("; "));
    }
    let guarantees = read(GUARANTEES)?;
    let unknown: Vec<_> = guarantees.lines().flat_map(named).filter(|name| !tests.contains(*name)).collect();
    if unknown.is_empty() { Ok(()) } else { bail!("{GUARANTEES}: there is no test {}", unknown.join(", ")) }
}

/// The tests that a line names.
fn named(line: &str) -> impl Iterator<Item = &str> {
    // Every other piece is between backticks.
    line.split('`').skip(1).step_by(2).filter(|word| word.contains("::"))
}

/// A row of four cells: what it is about, what kube-proxy does, the verdict, and how with the tests.
struct Row<'a> {
    subject: &'a str,
    verdict: &'a str,
    tests: Vec<&'a str>,
}

fn complaints(page: &str, tests: &BTreeSet<String>) -> Vec<String> {
    let rows: Vec<_> = page.lines().filter_map(row).collect();
    let mut complaints = numbers(&rows);
    for Row { subject, verdict, tests: named } in rows {
        match VERDICTS.iter().find(|(word, _)| *word == verdict) {
            None => complaints.push(format!("{subject}: \"{verdict}\" is no verdict")),
            Some((_, true)) if named.is_empty() => {
                complaints.push(format!("{subject}: {verdict}, but no test is named"));
            }
            Some(_) => {}
        }
        let unknown = named.into_iter().filter(|name| !tests.contains(*name));
        complaints.extend(unknown.map(|name| format!("{subject}: there is no test `{name}`")));
    }
    complaints
}

/// Heads of tables and what separates them from rows are none.
fn row(line: &str) -> Option<Row<'_>> {
    let cells: Vec<_> = line.strip_prefix('|')?.strip_suffix('|')?.split('|').map(str::trim).collect();
    let [subject, _, verdict, how] = cells[..] else { return None };
    if verdict == "here" || verdict.starts_with("--") {
        return None;
    }
    Some(Row { subject, verdict, tests: named(how).collect() })
}

fn numbers(rows: &[Row<'_>]) -> Vec<String> {
    let mut missing: BTreeSet<_> =
        (1..).zip(STATEMENTS).flat_map(|(section, last)| (1..=last).map(move |n| format!("{section}.{n}"))).collect();
    let is_number = |subject: &&str| subject.starts_with(|first: char| first.is_ascii_digit());
    let given = rows.iter().map(|row| row.subject).filter(is_number);
    let mut complaints: Vec<_> = given
        .filter(|number| !missing.remove(*number))
        .map(|number| format!("{number} is there twice, or isn't a statement"))
        .collect();
    complaints.extend(missing.into_iter().map(|number| format!("{number} is missing")));
    complaints
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A page on which every statement is kept by one test, but for what `change` does to a line.
    fn complaints_of(change: impl Fn(&str) -> String) -> Vec<String> {
        let numbers = (1..).zip(STATEMENTS).flat_map(|(section, last)| (1..=last).map(move |n| (section, n)));
        let line = |(section, n)| change(&format!("| {section}.{n} | promise | kept | how: `services::a_test` |\n"));
        let rows: String = numbers.map(line).collect();
        let page = format!("| # | kube-proxy | here | how |\n|---|---|---|---|\n{rows}| a story | | n/a | |\n");
        complaints(&page, &BTreeSet::from(["services::a_test".to_owned()]))
    }

    fn complaints_of_3_8(from: &str, to: &str) -> Vec<String> {
        complaints_of(|line| if line.starts_with("| 3.8 ") { line.replace(from, to) } else { line.to_owned() })
    }

    #[test]
    fn a_table_with_every_number_and_known_tests_is_fine() {
        assert_eq!(complaints_of(str::to_owned), [""; 0]);
    }

    #[test]
    fn numbers_that_are_missing_double_or_made_up_are_told() {
        assert_eq!(complaints_of_3_8("3.8", "none"), ["3.8 is missing"]);
        assert_eq!(
            complaints_of_3_8("\n", "\n| 3.8 | again | n/a | |\n"),
            ["3.8 is there twice, or isn't a statement"]
        );
        assert_eq!(
            complaints_of_3_8("\n", "\n| 3.99 | new | n/a | |\n"),
            ["3.99 is there twice, or isn't a statement"]
        );
    }

    #[test]
    fn what_is_kept_needs_a_test_that_exists() {
        assert_eq!(complaints_of_3_8("a_test", "no_test"), ["3.8: there is no test `services::no_test`"]);
        assert_eq!(complaints_of_3_8("`services::a_test`", "so"), ["3.8: kept, but no test is named"]);
        assert_eq!(complaints_of_3_8("kept", "perhaps"), ["3.8: \"perhaps\" is no verdict"]);
    }
}
