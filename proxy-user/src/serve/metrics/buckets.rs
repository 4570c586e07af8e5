//! Limits of the histograms' buckets, in seconds.

use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};

/// kube-proxy's: 15 from 1 ms, each twice the one before.
pub(super) fn sync() -> Histogram {
    Histogram::new(exponential_buckets(0.001, 2.0, 15))
}

/// 18 from 1 ms, each twice the one before, to 131 s: most changes take as long as a sync, a failing one minutes.
pub(super) fn programming() -> Histogram {
    Histogram::new(exponential_buckets(0.001, 2.0, 18))
}

/// kube-proxy's: 0.25, 0.5, each second to the minute, each 5 s to two minutes, each 30 s to five.
pub(super) fn network_programming() -> Histogram {
    let steps = (1..60).chain((60..120).step_by(5)).chain((120..=300).step_by(30));
    Histogram::new([0.25, 0.5].into_iter().chain(steps.map(f64::from)))
}
