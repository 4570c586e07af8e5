//! Counts among figures.

/// A count as a sample.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "2^52 of what is counted here are never reached")]
pub const fn counted(count: u64) -> f64 {
    count as f64
}
