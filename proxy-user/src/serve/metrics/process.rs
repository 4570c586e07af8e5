//! The process itself, by the names that Prometheus' client libraries have for it; read from procfs at each scrape.

use std::fs;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use rustix::param::{clock_ticks_per_second, page_size};
use rustix::process::{Resource, getrlimit};

use super::{Names, SecondsGauge};

/// What is told of the process.
#[derive(Debug)]
pub(super) struct ProcessMetrics {
    cpu: Counter<f64, AtomicU64>,
    resident: Gauge,
    virtual_memory: Gauge,
    open_fds: Gauge,
    max_fds: Gauge,
    start: SecondsGauge,
}

impl ProcessMetrics {
    pub(super) fn new(names: &mut Names) -> Self {
        Self {
            cpu: names.add("process_cpu_seconds", "Time on processors, in user and kernel mode", Counter::default()),
            resident: names.add("process_resident_memory_bytes", "Resident memory", Gauge::default()),
            virtual_memory: names.add("process_virtual_memory_bytes", "Virtual memory", Gauge::default()),
            open_fds: names.add("process_open_fds", "Open files", Gauge::default()),
            max_fds: names.add("process_max_fds", "Most files it may have open", Gauge::default()),
            start: names.add("process_start_time_seconds", "When it started, since the epoch", SecondsGauge::default()),
        }
    }

    /// Reads them anew; what can't be read stays as it was.
    pub(super) fn refresh(&self) {
        if let Some(stat) = fs::read_to_string("/proc/self/stat").ok().as_deref().and_then(Stat::parse) {
            self.cpu.inner().store(stat.cpu.to_bits(), Ordering::Relaxed);
            self.resident.set(stat.resident);
            self.virtual_memory.set(stat.virtual_memory);
            if let Some(boot) = boot_time() {
                self.start.set(boot + stat.start);
            }
        }
        if let Ok(fds) = fs::read_dir("/proc/self/fd") {
            // Not the one by which the directory is read.
            self.open_fds.set((fds.count().cast_signed() as i64) - 1);
        }
        let max = getrlimit(Resource::Nofile).current.and_then(|max| i64::try_from(max).ok());
        self.max_fds.set(max.unwrap_or(i64::MAX));
    }
}

/// What is used of `/proc/self/stat` (proc(5)).
struct Stat {
    /// Seconds.
    cpu: f64,
    /// Seconds after the machine's boot.
    start: f64,
    /// Bytes.
    virtual_memory: i64,
    /// Bytes.
    resident: i64,
}

impl Stat {
    fn parse(text: &str) -> Option<Self> {
        // The second field is the name, in parentheses, and may have any character in it.
        let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
        let field = |number: usize| fields.get(number - 3)?.parse::<i64>().ok();
        let seconds = |ticks: i64| {
            Duration::from_millis(ticks.unsigned_abs() * 1000 / clock_ticks_per_second().max(1)).as_secs_f64()
        };
        Some(Self {
            cpu: seconds(field(14)? + field(15)?),
            start: seconds(field(22)?),
            virtual_memory: field(23)?,
            resident: field(24)? * page_size().cast_signed() as i64,
        })
    }
}

/// When the machine was booted, in seconds since the epoch.
fn boot_time() -> Option<f64> {
    fs::read_to_string("/proc/stat").ok()?.lines().find_map(|line| line.strip_prefix("btime "))?.parse().ok()
}
