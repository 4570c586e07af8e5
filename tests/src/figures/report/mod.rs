//! All figures of a run, as a table, as JSON and as plots.

mod grid;
mod json;
mod markdown;
mod svg;
mod table;
#[cfg(test)]
mod tests;

pub use svg::Unplotted;

use super::environment::Environment;
use super::figure::{Figure, Sample, figure};
use super::measure::{Measure, Size};
use super::mode::Mode;

/// What was measured, and what wasn't.
#[derive(Debug)]
pub struct Report {
    environment: Environment,
    samples: Vec<Sample>,
    remarks: Vec<String>,
    left_out: Vec<String>,
}

impl Report {
    /// One without a figure.
    #[must_use]
    pub const fn new(environment: Environment) -> Self {
        Self { environment, samples: Vec::new(), remarks: Vec::new(), left_out: Vec::new() }
    }

    /// Adds what a round gave. Rounds are numbered alike in all modes, for ratios are between samples of one round.
    pub fn add(&mut self, measure: Measure, mode: Mode, size: Size, round: u32, value: f64) {
        self.samples.push(Sample { measure, mode, size, round, value });
    }

    /// Says what was not measured, and why: on one line, whatever an error has.
    pub fn leave_out(&mut self, what: impl AsRef<str>) {
        let what = what.as_ref().split_whitespace().collect::<Vec<_>>().join(" ");
        if !self.left_out.contains(&what) {
            self.left_out.push(what);
        }
    }

    /// Says what one has to know of figures to read them right.
    pub fn remark(&mut self, what: impl Into<String>) {
        let what = what.into();
        if !self.remarks.contains(&what) {
            self.remarks.push(what);
        }
    }

    /// What was told besides figures, with headings.
    fn notes(&self) -> impl Iterator<Item = (&'static str, &Vec<String>)> {
        let notes = [("Remarks", &self.remarks), ("Left out", &self.left_out)];
        notes.into_iter().filter(|(_, lines)| !lines.is_empty())
    }

    /// The figures: measures in the order they were first added, then sizes, then modes.
    #[must_use]
    pub fn figures(&self) -> Vec<Figure> {
        let mut figures = Vec::new();
        for measure in self.measures() {
            for size in self.sizes(measure) {
                figures.extend(Mode::ALL.into_iter().filter_map(|mode| figure(&self.samples, measure, mode, size)));
            }
        }
        figures
    }

    /// Every measure, in the order they were first added.
    fn measures(&self) -> Vec<Measure> {
        let mut measures = Vec::new();
        for sample in &self.samples {
            if !measures.contains(&sample.measure) {
                measures.push(sample.measure);
            }
        }
        measures
    }

    /// The sizes of a measure, from the least on; paths as they were added.
    fn sizes(&self, measure: Measure) -> Vec<Size> {
        let mut sizes = Vec::new();
        for sample in self.samples.iter().filter(|sample| sample.measure == measure) {
            if !sizes.contains(&sample.size) {
                sizes.push(sample.size);
            }
        }
        sizes.sort_by_key(|size| size.number());
        sizes
    }
}
