//! Figures of the benchmark (`cargo xtask bench`): what was measured, in which mode, and how it compares.
//!
//! A [`Report`] takes a sample a round. A [`Figure`] is the median of a [`Measure`] over the rounds, and the median of its
//! ratios, each to what direct traffic took in the same round: what else the machine did in that round is in both.

mod count;
mod environment;
mod figure;
mod measure;
mod mode;
mod place;
mod progress;
mod report;
mod statistics;

pub use count::counted;
pub use environment::Environment;
pub use figure::Figure;
pub use measure::{Better, Measure, Size};
pub use mode::{Mode, UnknownMode};
pub use place::rule_place;
pub use progress::Progress;
pub use report::{Report, Unplotted};
pub use statistics::{Spread, percentile};
