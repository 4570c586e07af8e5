//! Plots: a measure over its sizes, a line for each mode; and all ratios at one size, a bar for each mode.

mod bars;
mod lines;

use plotters::prelude::{DrawingAreaErrorKind, FontDesc, IntoFont as _, RGBColor};

use super::Report;
use crate::figures::figure::Figure;
use crate::figures::measure::Size;
use crate::figures::mode::Mode;

/// A plot that could not be drawn.
pub type Unplotted = DrawingAreaErrorKind<std::io::Error>;

impl Report {
    /// The plots: file names without a folder, and what goes into them.
    pub fn svg(&self) -> Result<Vec<(String, String)>, Unplotted> {
        let figures = self.figures();
        let mut plots = Vec::new();
        for of_measure in figures.chunk_by(|one, other| one.measure == other.measure) {
            if scale(of_measure).len() > 1 {
                plots.push((of_measure[0].measure.file_name() + ".svg", lines::plot(of_measure)?));
            }
        }
        let mut sizes: Vec<_> = figures.iter().filter(|it| it.to_direct.is_some()).map(|figure| figure.size).collect();
        sizes.sort_unstable();
        sizes.dedup();
        for size in sizes {
            let compared: Vec<_> = figures.iter().filter(|it| it.size == size && it.to_direct.is_some()).collect();
            plots.push((bars_name(size), bars::plot(size, &compared)?));
        }
        Ok(plots)
    }
}

/// The sizes that are numbers, in their order.
fn scale(figures: &[Figure]) -> Vec<Size> {
    let mut sizes: Vec<_> = figures.iter().map(|figure| figure.size).filter(|size| size.number().is_some()).collect();
    sizes.dedup();
    sizes
}

fn bars_name(size: Size) -> String {
    let number = size.number().map_or_else(|| size.to_string(), |number| number.to_string());
    let words = format!("ratios {number} {}", size.scale()).to_lowercase();
    words.split(|c: char| !c.is_ascii_alphanumeric()).filter(|it| !it.is_empty()).collect::<Vec<_>>().join("-") + ".svg"
}

/// A mode has the same colour in each plot. Told apart also by those who don't see red and green (Okabe and Ito's set).
const fn color(mode: Mode) -> RGBColor {
    match mode {
        Mode::Direct => RGBColor(90, 90, 90),
        Mode::Socket => RGBColor(0, 114, 178),
        Mode::Redirect => RGBColor(0, 158, 115),
        Mode::Tc => RGBColor(86, 180, 233),
        Mode::Iptables => RGBColor(230, 159, 0),
        Mode::KubeProxyIptables => RGBColor(213, 94, 0),
        Mode::KubeProxyNftables => RGBColor(204, 121, 167),
    }
}

fn font(pixels: u32) -> FontDesc<'static> {
    ("sans-serif", pixels).into_font()
}
