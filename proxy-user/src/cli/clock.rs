//! The clock of the tables.

use rustix::time::{ClockId, clock_gettime};

/// Whole seconds of the kernel's monotonic clock, as the programs note them; a suspended machine ages nothing.
pub(super) fn seconds() -> u32 {
    u32::try_from(clock_gettime(ClockId::Monotonic).tv_sec).unwrap_or(u32::MAX)
}

/// Seconds from `then` to `now`; 0 where another CPU has noted a later time.
pub(super) const fn since(then: u32, now: u32) -> u32 {
    now.saturating_sub(then)
}
