//! Cases without end, for `cargo xtask fuzz`.

use std::env;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::loaded::Loaded;
use super::plain::Plain;
use super::{Judge, try_seed};

/// How long, and from which seed on.
struct Limits {
    first: u64,
    cases: u64,
    until: Instant,
}

impl Limits {
    fn from_environment() -> Self {
        let number = |name: &str| env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
        let seconds = Duration::from_secs(number("SLUICE_FUZZ_SECONDS").unwrap_or(60));
        Self {
            first: number("SLUICE_FUZZ_SEED").unwrap_or_default(),
            cases: number("SLUICE_FUZZ_CASES").unwrap_or(u64::MAX),
            until: Instant::now() + seconds,
        }
    }
}

/// What all threads know.
struct Fuzz {
    limits: Limits,
    failures: Mutex<Vec<String>>,
}

impl Fuzz {
    /// Tries seeds that nobody has taken from `next`, until something fails anywhere.
    fn run(&self, next: &AtomicU64, judge: &mut impl Judge) {
        while Instant::now() < self.limits.until && self.failures.lock().unwrap().is_empty() {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= self.limits.cases {
                // Taken, and not tried.
                next.fetch_sub(1, Ordering::Relaxed);
                return;
            }
            if let Err(report) = try_seed(self.limits.first.wrapping_add(number), judge) {
                self.failures.lock().unwrap().push(report);
            }
        }
    }
}

#[test]
#[ignore = "runs for as long as it is told to: cargo xtask fuzz"]
fn fuzz() {
    let fuzz = Fuzz { limits: Limits::from_environment(), failures: Mutex::default() };
    let (plain, loaded) = (AtomicU64::new(0), AtomicU64::new(0));
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| fuzz.run(&plain, &mut Plain));
        }
        if rustix::process::geteuid().is_root() {
            scope.spawn(|| fuzz.run(&loaded, &mut Loaded::default()));
        }
    });
    let first = fuzz.limits.first;
    println!("from seed {first}: {} cases by the tables, {} by the programs", plain.into_inner(), loaded.into_inner());
    let failures = fuzz.failures.into_inner().unwrap();
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}
