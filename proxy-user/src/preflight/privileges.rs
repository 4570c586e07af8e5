//! Capabilities of this process.

use std::fs;

use super::{Check, Outcome};

/// A capability of `capabilities(7)`.
struct Capability {
    name: &'static str,
    /// Those of which one will do.
    any_of: u64,
    mend: &'static str,
}

// Numbers from the kernel's include/uapi/linux/capability.h.
const NET_ADMIN: u64 = 1 << 12;
const SYS_ADMIN: u64 = 1 << 21;
const BPF: u64 = 1 << 39;

/// What the agent needs: to load programs (`CAP_SYS_ADMIN` contains what Linux 5.8 split off as `CAP_BPF`), to attach
/// them, and to mount a bpffs.
const NEEDED: [Capability; 3] = [
    Capability { name: "CAP_BPF", any_of: BPF | SYS_ADMIN, mend: "run as root, or add the capability BPF" },
    Capability { name: "CAP_NET_ADMIN", any_of: NET_ADMIN, mend: "run as root, or add the capability NET_ADMIN" },
    Capability { name: "CAP_SYS_ADMIN", any_of: SYS_ADMIN, mend: "run as root, or run the container privileged" },
];

pub(super) fn checks() -> Vec<Check> {
    let effective = fs::read_to_string("/proc/self/status").ok().as_deref().and_then(effective);
    NEEDED.iter().map(|capability| check(capability, effective)).collect()
}

/// Whether the kernel's features can be tried.
pub(super) fn are_held() -> bool {
    checks().iter().all(|check| check.outcome != Outcome::Fail)
}

fn check(Capability { name, any_of, mend }: &Capability, effective: Option<u64>) -> Check {
    match effective {
        Some(set) if set & any_of != 0 => Check::ok(name, "held"),
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

    fn outcomes(set: u64) -> Vec<Outcome> {
        NEEDED.iter().map(|capability| check(capability, Some(set)).outcome).collect()
    }

    #[test]
    fn a_capability_that_is_not_held_fails_and_the_others_do_not() {
        let held = effective("Name:\tx\nCapEff:\t0000008000001000\n").unwrap();
        assert_eq!(outcomes(held), [Outcome::Ok, Outcome::Ok, Outcome::Fail]);
    }

    #[test]
    fn system_administration_contains_loading_programs() {
        assert_eq!(outcomes(SYS_ADMIN), [Outcome::Ok, Outcome::Fail, Outcome::Ok]);
    }
}
