//! Ratios to direct traffic at one size.

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::{Unplotted, color, font};
use crate::figures::figure::Figure;
use crate::figures::measure::{Better, Size};
use crate::figures::statistics::Spread;

/// Pixels: width of all, of the names at the left, of the numbers at the right.
const WIDTH: i32 = 860;
const NAMES: i32 = 330;
const NUMBERS: i32 = 60;
/// Pixels: height of a bar, of a measure's heading, of the plot's.
const BAR: i32 = 16;
const HEADING: i32 = 24;
const TITLE: i32 = 34;
/// A bar ends here; the number says how much more it is.
const LONGEST: f64 = 4.0;

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// A bar for each figure from 0 to its ratio, with its quartiles, and a line at 1, which is direct traffic.
pub(super) fn plot(size: Size, figures: &[&Figure]) -> Result<String, Unplotted> {
    let groups: Vec<_> = figures.chunk_by(|one, other| one.measure == other.measure).collect();
    let height = TITLE + HEADING * pixels(groups.len()) + BAR * pixels(figures.len()) + 8;
    let longest = figures.iter().filter_map(|it| it.to_direct).map(|it| it.upper_quartile).fold(1.2, f64::max);
    let scale = f64::from(WIDTH - NAMES - NUMBERS) / longest.min(LONGEST);
    let x = |ratio: f64| NAMES + (ratio.min(LONGEST) * scale).round() as i32;
    let mut svg = String::new();
    {
        let area =
            SVGBackend::with_string(&mut svg, (WIDTH.cast_unsigned(), height.cast_unsigned())).into_drawing_area();
        area.fill(&WHITE)?;
        text(&area, &format!("Ratio to direct traffic, {}", size.in_words()), (12, 10), 16, HPos::Left)?;
        let mut y = TITLE;
        for group in groups {
            let better = if group[0].measure.better == Better::Less { "less" } else { "more" };
            let heading = format!("{} ({better} is better)", group[0].measure.name);
            text(&area, &heading, (12, y + HEADING / 3), 13, HPos::Left)?;
            y += HEADING;
            for figure in group {
                if let Some(ratio) = &figure.to_direct {
                    bar(&area, figure, ratio, y, &x)?;
                }
                y += BAR;
            }
        }
        area.draw(&PathElement::new([(x(1.0), TITLE), (x(1.0), height - 6)], BLACK.mix(0.6)))?;
        area.present()?;
    }
    Ok(svg)
}

/// A plot has few lines.
fn pixels(lines: usize) -> i32 {
    i32::try_from(lines).unwrap_or(i32::MAX)
}

fn bar(area: &Area<'_>, figure: &Figure, ratio: &Spread, y: i32, x: &impl Fn(f64) -> i32) -> Result<(), Unplotted> {
    let middle = y + BAR / 2;
    text(area, figure.mode.name(), (NAMES - 8, middle), 12, HPos::Right)?;
    area.draw(&Rectangle::new([(x(0.0), y + 2), (x(ratio.median), y + BAR - 2)], color(figure.mode).filled()))?;
    area.draw(&PathElement::new([(x(ratio.lower_quartile), middle), (x(ratio.upper_quartile), middle)], BLACK))?;
    let end = x(ratio.upper_quartile.max(ratio.median)) + 6;
    text(area, &format!("{:.2}", ratio.median), (end, middle), 12, HPos::Left)
}

fn text(area: &Area<'_>, words: &str, at: (i32, i32), pixels: u32, side: HPos) -> Result<(), Unplotted> {
    let style = font(pixels).color(&BLACK).pos(Pos::new(side, VPos::Center));
    area.draw(&Text::new(words, at, style))
}
