//! Medians, and how far samples are apart.

use serde::Serialize;

/// The middle of some samples, the middle half of them, and their ends.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Spread {
    /// The median.
    pub median: f64,
    /// A quarter of the samples is less, or equal.
    pub lower_quartile: f64,
    /// A quarter of the samples is more, or equal.
    pub upper_quartile: f64,
    /// The least.
    pub least: f64,
    /// The most.
    pub most: f64,
    /// How many samples there are.
    pub samples: usize,
}

impl Spread {
    /// That of some samples; none of no samples. What is no number (0 to 0) doesn't count.
    pub fn of(samples: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut samples: Vec<_> = samples.into_iter().filter(|sample| !sample.is_nan()).collect();
        samples.sort_unstable_by(f64::total_cmp);
        Some(Self {
            median: quartile(&samples, 2)?,
            lower_quartile: quartile(&samples, 1)?,
            upper_quartile: quartile(&samples, 3)?,
            least: *samples.first()?,
            most: *samples.last()?,
            samples: samples.len(),
        })
    }
}

/// The value that so many quarters of sorted samples don't exceed, on a line between the two next to it.
fn quartile(sorted: &[f64], quarters: usize) -> Option<f64> {
    let place = quarters * sorted.len().checked_sub(1)?;
    let (below, above) = (sorted[place / 4], sorted[place.div_ceil(4)]);
    let part = [0.0, 0.25, 0.5, 0.75][place % 4];
    Some(below + (above - below) * part)
}

/// The sample that so many percent of sorted ones don't exceed (nearest rank); none of no samples.
#[must_use]
pub fn percentile<T: Copy>(sorted: &[T], percent: usize) -> Option<T> {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_of_an_even_number_of_samples_is_between_two() {
        let spread = Spread::of([4.0, 1.0, 3.0, 2.0]).unwrap();
        assert_eq!((spread.median, spread.least, spread.most, spread.samples), (2.5, 1.0, 4.0, 4));
        assert_eq!((spread.lower_quartile, spread.upper_quartile), (1.75, 3.25));
    }

    #[test]
    fn one_sample_has_no_spread_and_none_has_no_median() {
        let spread = Spread::of([7.0, f64::NAN]).unwrap();
        assert_eq!((spread.median, spread.lower_quartile, spread.most, spread.samples), (7.0, 7.0, 7.0, 1));
        assert_eq!(Spread::of([f64::NAN]), None);
    }

    #[test]
    fn a_percentile_is_a_sample_and_not_past_the_last() {
        let sorted: Vec<u32> = (1..=200).collect();
        assert_eq!(percentile(&sorted, 50), Some(100));
        assert_eq!(percentile(&sorted, 99), Some(198));
        assert_eq!(percentile(&sorted, 100), Some(200));
        assert_eq!(percentile(&sorted[..1], 0), Some(1));
        assert_eq!(percentile::<u32>(&[], 50), None);
    }
}
