//! A measure over its sizes.

use plotters::prelude::*;

use super::{Unplotted, color, font, scale};
use crate::figures::figure::Figure;
use crate::figures::measure::Size;
use crate::figures::mode::Mode;

/// Width and height in pixels.
const EXTENT: (u32, u32) = (760, 420);

/// Medians as lines, with a bar from quartile to quartile; sizes are as far apart as their names are wide.
pub(super) fn plot(figures: &[Figure]) -> Result<String, Unplotted> {
    let sizes = scale(figures);
    let count = u32::try_from(sizes.len()).unwrap_or(u32::MAX);
    let most = figures.iter().map(|figure| figure.absolute.upper_quartile).fold(0.0, f64::max);
    let measure = figures[0].measure;
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, EXTENT).into_drawing_area();
        area.fill(&WHITE)?;
        let mut chart = ChartBuilder::on(&area)
            .caption(measure.name, font(16))
            .margin(12)
            .x_label_area_size(36)
            .y_label_area_size(64)
            .build_cartesian_2d(-0.3..f64::from(count) - 0.7, 0.0..most.max(f64::MIN_POSITIVE) * 1.15)?;
        let label = |place: &f64| size_at(&sizes, *place);
        chart
            .configure_mesh()
            .disable_x_mesh()
            .x_labels(sizes.len() * 4)
            .x_label_formatter(&label)
            .x_desc(sizes[0].scale())
            .y_desc(measure.unit)
            .light_line_style(WHITE)
            .draw()?;
        for mode in Mode::ALL {
            let place = |figure: &Figure| places(&sizes).find(|(_, size)| *size == figure.size).map(|(place, _)| place);
            let own = figures.iter().filter(|figure| figure.mode == mode);
            let points: Vec<_> = own.filter_map(|figure| Some((place(figure)?, figure.absolute))).collect();
            if points.is_empty() {
                continue;
            }
            let style = color(mode).stroke_width(2);
            let medians = points.iter().map(|(x, spread)| (*x, spread.median));
            chart
                .draw_series(LineSeries::new(medians, style))?
                .label(mode.name())
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], style));
            let bars = points.iter().map(|(x, it)| {
                ErrorBar::new_vertical(*x, it.lower_quartile, it.median, it.upper_quartile, color(mode).filled(), 6)
            });
            chart.draw_series(bars)?;
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperLeft)
            .background_style(WHITE.mix(0.8))
            .label_font(font(12))
            .draw()?;
        area.present()?;
    }
    Ok(svg)
}

/// Where each size is on the axis.
fn places(sizes: &[Size]) -> impl Iterator<Item = (f64, Size)> {
    (0_u32..).map(f64::from).zip(sizes.iter().copied())
}

/// The name of the size at a place of the axis; nothing between two.
fn size_at(sizes: &[Size], place: f64) -> String {
    let found = places(sizes).find(|(at, _)| (place - at).abs() < 0.01);
    found.map_or_else(String::new, |(_, size)| size.to_string())
}
