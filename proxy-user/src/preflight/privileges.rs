//! Capabilities of this process.

use std::fs;

use super::Check;

/// A capability of `capabilities(7)`.
struct Capability {
    name: &'static str,
    /// Number, from the kernel's `include/uapi/linux/capability.h`.
    bit: u32,
    mend: &'static str,
}

/// What the agent needs. `CAP_SYS_ADMIN` contains `CAP_BPF` (Linux 5.8 split it off), and mounts a bpffs.
const NEEDED: [Capability; 3] = [
    Capability { name: "CAP_BPF", bit: 39, mend: "run as root, or add the capability BPF" },
    Capability { name: "CAP_NET_ADMIN", bit: 12, mend: "run as root, or add the capability NET_ADMIN" },
    Capability { name: "CAP_SYS_ADMIN", bit: 21, mend: "run as root, or run the container privileged" },
];

pub(super) fn checks() -> Vec<Check> {
    let effective = fs::read_to_string("/proc/self/status").ok().as_deref().and_then(effective);
    NEEDED.iter().map(|capability| check(capability, effective)).collect()
}

fn check(Capability { name, bit, mend }: &Capability, effective: Option<u64>) -> Check {
    match effective {
        Some(set) if set & (1 << bit) != 0 => Check::ok(name, "held"),
        Some(_) => Check::fail(name, "not held", mend),
        None => Check::warn(name, "/proc/self/status has no CapEff line", "mount /proc"),
    }
}

/// The set of effective capabilities in `/proc/self/status`.
fn effective(status: &str) -> Option<u64> {
    let hex = status.lines().find_map(|line| line.strip_prefix("CapEff:"))?;
    u64::from_str_radix(hex.trim(), 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::preflight::Outcome;

    #[test]
    fn a_capability_that_is_not_held_fails_and_the_others_do_not() {
        let set = effective("Name:\tx\nCapEff:\t0000008000200000\n");
        let outcomes: Vec<_> = NEEDED.iter().map(|capability| check(capability, set).outcome).collect();
        assert_eq!(outcomes, [Outcome::Ok, Outcome::Fail, Outcome::Ok]);
    }
}
