//! Figures of one measure as rows of sizes and columns of modes, in words.

use super::Report;
use crate::figures::figure::Figure;
use crate::figures::measure::{Better, Measure};
use crate::figures::mode::Mode;
use crate::figures::statistics::Spread;

/// The cells of a table.
pub(super) struct Grid {
    pub(super) title: String,
    pub(super) heading: Vec<String>,
    pub(super) rows: Vec<Vec<String>>,
}

/// What the cells mean.
pub(super) const LEGEND: &str = "Each cell: median ratio to direct traffic of the same round (its quartiles), then the \
                                 median itself. Only ratios can be compared; direct traffic has none.";

/// One for each measure.
pub(super) fn grids(report: &Report) -> Vec<Grid> {
    let figures = report.figures();
    let of = |measure| grid(&figures.iter().filter(|figure| figure.measure == measure).collect::<Vec<_>>());
    report.measures().into_iter().filter_map(of).collect()
}

fn grid(figures: &[&Figure]) -> Option<Grid> {
    let first = figures.first()?;
    let modes: Vec<_> = Mode::ALL.into_iter().filter(|mode| figures.iter().any(|it| it.mode == *mode)).collect();
    let mut rows: Vec<Vec<String>> = Vec::new();
    for sized in figures.chunk_by(|one, other| one.size == other.size) {
        let cell = |mode: &Mode| sized.iter().find(|figure| figure.mode == *mode).map_or("-".into(), |it| cell(it));
        rows.push(std::iter::once(sized[0].size.to_string()).chain(modes.iter().map(cell)).collect());
    }
    let heading = std::iter::once(first.size.scale().to_owned()).chain(modes.iter().map(ToString::to_string)).collect();
    Some(Grid { title: title(first.measure), heading, rows })
}

fn title(measure: Measure) -> String {
    let better = match measure.better {
        Better::Less => "less",
        Better::More => "more",
    };
    format!("{} ({}; {better} is better)", measure.name, measure.unit)
}

fn cell(figure: &Figure) -> String {
    let absolute = number(figure.absolute.median);
    let to_no_rules = figure.to_no_rules.map(|it| format!("{} to no rules", ratio(&it)));
    let ratios: Vec<_> = figure.to_direct.as_ref().map(ratio).into_iter().chain(to_no_rules).collect();
    if ratios.is_empty() {
        format!("{absolute} {}", quartiles(&figure.absolute, number))
    } else {
        format!("{}; {absolute}", ratios.join(", "))
    }
}

fn ratio(spread: &Spread) -> String {
    let two = |it: f64| format!("{it:.2}");
    format!("{} {}", two(spread.median), quartiles(spread, two))
}

fn quartiles(spread: &Spread, text: impl Fn(f64) -> String) -> String {
    format!("({}-{})", text(spread.lower_quartile), text(spread.upper_quartile))
}

/// Three digits, or all before the point.
fn number(value: f64) -> String {
    match value.abs() {
        _ if value.fract() == 0.0 => format!("{value:.0}"),
        ..10.0 => format!("{value:.2}"),
        ..100.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}
