//! How many passed and how many failed, over everything that was run.

use std::ops::AddAssign;

use anyhow::{Result, bail};

/// Tests, and checks of `lint`, counted by outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
}

impl Tally {
    /// One check's outcome.
    pub(crate) fn one(passed: bool) -> Self {
        Self { passed: u64::from(passed), failed: u64::from(!passed) }
    }

    /// Reads the test harness's summary: `test result: ok. 12 passed; 0 failed; 1 ignored; ...`.
    pub(crate) fn from_summary(line: &str) -> Option<Self> {
        let (_, counts) = line.strip_prefix("test result: ")?.split_once(". ")?;
        let count = |what: &str| counts.split("; ").find_map(|part| part.strip_suffix(what)?.trim().parse().ok());
        Some(Self { passed: count(" passed")?, failed: count(" failed")? })
    }

    /// How many were run.
    pub(crate) fn ran(self) -> u64 {
        self.passed + self.failed
    }

    /// The closing line, and an error if anything failed.
    pub(crate) fn close(self) -> Result<()> {
        println!("{} passed, {} failed", self.passed, self.failed);
        if self.failed > 0 {
            bail!("{} of {} failed, see above", self.failed, self.ran());
        }
        Ok(())
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_harness_summary_is_counted() {
        let line = "test result: FAILED. 12 passed; 3 failed; 1 ignored; 0 measured; 7 filtered out; finished in 0.02s";
        assert_eq!(Tally::from_summary(line), Some(Tally { passed: 12, failed: 3 }));
    }

    #[test]
    fn other_lines_of_a_test_run_are_not_counted() {
        for line in ["test tally::tests::x ... ok", "running 4 tests", "test result: mine was better"] {
            assert_eq!(Tally::from_summary(line), None, "{line}");
        }
    }

    #[test]
    fn a_failure_closes_with_an_error() {
        assert!(Tally { passed: 5, failed: 1 }.close().is_err());
        assert!(Tally { passed: 5, failed: 0 }.close().is_ok());
    }
}
