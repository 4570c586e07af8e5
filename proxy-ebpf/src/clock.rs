//! The kernel's monotonic clock.

use aya_ebpf::helpers::generated::bpf_ktime_get_coarse_ns;

/// Whole seconds since boot: flows are timed by no more.
#[inline(always)]
pub(crate) fn seconds() -> u32 {
    // SAFETY: the helper takes nothing and only returns a number.
    (unsafe { bpf_ktime_get_coarse_ns() } / 1_000_000_000) as u32
}
