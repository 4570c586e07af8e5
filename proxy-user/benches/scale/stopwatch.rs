//! Time that passed, and time on a CPU.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use serde::Serialize;

/// Both clocks at one moment.
#[derive(Clone, Copy)]
pub(crate) struct Stopwatch {
    wall: Duration,
    cpu: Duration,
}

/// What something took.
#[derive(Clone, Copy, Default, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Took {
    /// Seconds.
    pub(crate) wall_seconds: f64,
    /// Seconds of this process on a CPU, in the kernel too.
    pub(crate) cpu_seconds: f64,
}

impl Stopwatch {
    pub(crate) fn start() -> Self {
        Self { wall: now(ClockId::Monotonic), cpu: now(ClockId::ProcessCPUTime) }
    }

    pub(crate) fn took(self) -> Took {
        let cpu = now(ClockId::ProcessCPUTime).saturating_sub(self.cpu);
        Took {
            wall_seconds: now(ClockId::Monotonic).saturating_sub(self.wall).as_secs_f64(),
            cpu_seconds: cpu.as_secs_f64(),
        }
    }
}

/// What `work` returns, and what it took.
pub(crate) fn timed<T>(work: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<(T, Took)> {
    let stopwatch = Stopwatch::start();
    let result = work()?;
    Ok((result, stopwatch.took()))
}

fn now(clock: ClockId) -> Duration {
    let time = clock_gettime(clock);
    Duration::new(time.tv_sec.cast_unsigned(), time.tv_nsec.cast_unsigned() as u32)
}

/// The values below which half, and all but one in a hundred, of many are.
#[derive(Clone, Copy, Default, Debug, Serialize)]
pub(crate) struct Percentiles {
    pub(crate) p50: f64,
    pub(crate) p99: f64,
}

impl From<Vec<f64>> for Percentiles {
    fn from(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        let at = |percent: usize| values.get((values.len() * percent / 100).min(values.len().saturating_sub(1)));
        Self { p50: at(50).copied().unwrap_or_default(), p99: at(99).copied().unwrap_or_default() }
    }
}
