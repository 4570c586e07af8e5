//! A figure: the samples of all rounds, and what they make beside others.

use serde::Serialize;

use super::measure::{Measure, Size};
use super::mode::Mode;
use super::statistics::Spread;

/// A measure in one mode and size.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Figure {
    /// What was measured.
    #[serde(flatten)]
    pub measure: Measure,
    /// In which mode.
    pub mode: Mode,
    /// Of how much.
    pub size: Size,
    /// The numbers themselves, in the measure's unit. They are this machine's, of this hour.
    pub absolute: Spread,
    /// Ratios to direct traffic of the same round; none where nothing is direct, and of direct traffic itself.
    pub to_direct: Option<Spread>,
    /// Ratios to the same mode without a rule, of the same round, where the size is a number of rules.
    pub to_no_rules: Option<Spread>,
}

/// What was seen in a round.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Sample {
    pub(super) measure: Measure,
    pub(super) mode: Mode,
    pub(super) size: Size,
    pub(super) round: u32,
    pub(super) value: f64,
}

impl Sample {
    fn is_of(&self, measure: Measure, mode: Mode, size: Size) -> bool {
        (self.measure, self.mode, self.size) == (measure, mode, size)
    }
}

/// The figure of one measure, mode and size; none without a sample.
pub(super) fn figure(samples: &[Sample], measure: Measure, mode: Mode, size: Size) -> Option<Figure> {
    let own: Vec<_> = samples.iter().filter(|sample| sample.is_of(measure, mode, size)).collect();
    let to = |mode, size| {
        let base: Vec<_> = samples.iter().filter(|sample| sample.is_of(measure, mode, size)).collect();
        let ratio = |sample: &&Sample| {
            let base = base.iter().find(|base| base.round == sample.round)?;
            Some(sample.value / base.value)
        };
        Spread::of(own.iter().filter_map(ratio))
    };
    Some(Figure {
        measure,
        mode,
        size,
        absolute: Spread::of(own.iter().map(|sample| sample.value))?,
        to_direct: if mode == Mode::Direct { None } else { to(Mode::Direct, size) },
        to_no_rules: match size {
            Size::Rules(1..) => to(mode, Size::Rules(0)),
            _ => None,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONNECT: Measure = Measure::less("connect", "us");

    fn samples(mode: Mode, size: Size, values: &[f64]) -> Vec<Sample> {
        let sample = |(round, value): (u32, &f64)| Sample { measure: CONNECT, mode, size, round, value: *value };
        (0..).zip(values).map(sample).collect()
    }

    #[test]
    fn a_ratio_is_to_direct_traffic_of_the_same_round() {
        // The machine was slow in the second round: each number doubles, and no ratio does.
        let mut all = samples(Mode::Direct, Size::Services(1), &[20.0, 40.0, 20.0]);
        all.extend(samples(Mode::Tc, Size::Services(1), &[22.0, 44.0, 22.0]));
        let figure = figure(&all, CONNECT, Mode::Tc, Size::Services(1)).unwrap();
        let ratio = figure.to_direct.unwrap();
        assert_eq!((ratio.least, ratio.median, ratio.most), (1.1, 1.1, 1.1));
        assert_eq!((figure.absolute.least, figure.absolute.most), (22.0, 44.0));
    }

    #[test]
    fn a_round_without_direct_traffic_has_no_ratio() {
        let mut all = samples(Mode::Direct, Size::Services(1), &[10.0]);
        all.extend(samples(Mode::Tc, Size::Services(1), &[20.0, 90.0]));
        let figure = figure(&all, CONNECT, Mode::Tc, Size::Services(1)).unwrap();
        assert_eq!(figure.to_direct.unwrap().samples, 1);
        assert_eq!(figure.absolute.samples, 2);
    }

    #[test]
    fn rules_are_compared_to_none_of_the_same_mode_too() {
        let mut all = samples(Mode::Tc, Size::Rules(0), &[10.0]);
        all.extend(samples(Mode::Tc, Size::Rules(1_000), &[11.0]));
        let with = figure(&all, CONNECT, Mode::Tc, Size::Rules(1_000)).unwrap();
        assert_eq!(with.to_no_rules.map(|it| it.median), Some(1.1));
        assert_eq!(with.to_direct, None);
        assert_eq!(figure(&all, CONNECT, Mode::Tc, Size::Rules(0)).unwrap().to_no_rules, None);
        assert_eq!(figure(&all, CONNECT, Mode::Socket, Size::Rules(0)), None);
    }
}
