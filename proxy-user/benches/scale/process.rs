//! A program that runs beside us: what it costs, and its end.

use std::fs;
use std::ops::Deref;
use std::process::Child;

use anyhow::Context as _;
use rustix::param::clock_ticks_per_second;

/// A child, killed when dropped.
pub(crate) struct Process(Child);

impl Process {
    pub(crate) const fn new(child: Child) -> Self {
        Self(child)
    }

    #[expect(clippy::cast_precision_loss, reason = "2^52 ticks are more than a million years")]
    /// Time on a CPU so far, to the tick (usually 10 ms).
    pub(crate) fn cpu_seconds(&self) -> anyhow::Result<f64> {
        let text = fs::read_to_string(format!("/proc/{}/stat", self.id()))?;
        // proc(5): fields 14 and 15, user and system; the name, field 2, may hold blanks.
        let (_, fields) = text.rsplit_once(") ").context("no name in stat")?;
        let ticks = fields.split(' ').skip(11).take(2).map(str::parse::<u64>).sum::<Result<u64, _>>()?;
        Ok(ticks as f64 / clock_ticks_per_second() as f64)
    }

    /// Bytes of memory by the name of a line in `/proc/PID/status`, such as `VmRSS`.
    pub(crate) fn memory(&self, name: &str) -> anyhow::Result<u64> {
        let text = fs::read_to_string(format!("/proc/{}/status", self.id()))?;
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        let kibibytes = line.and_then(|line| line.split_whitespace().next()).with_context(|| format!("no {name}"))?;
        Ok(kibibytes.parse::<u64>()? << 10)
    }
}

impl Deref for Process {
    type Target = Child;

    fn deref(&self) -> &Child {
        &self.0
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
