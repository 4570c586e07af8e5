//! The memory cgroup of this process, which the tables are charged to (since Linux 5.11).

use std::fs;
use std::path::{Path, PathBuf};

use super::Check;
use crate::mounts;

const NAME: &str = "memory cgroup";
const MIB: u64 = 1 << 20;
/// cgroup v1 writes "no limit" as the largest number of whole pages; no machine has this much.
const UNLIMITED: u64 = 1 << 60;
/// Below this the tables of a large cluster don't fit beside the agent.
const ROOMY: u64 = 512 * MIB;

pub(super) fn check() -> Check {
    let Some(limit) = limits().min().filter(|limit| *limit < UNLIMITED) else {
        return Check::ok(NAME, "no limit");
    };
    let found = format!("limit {} MiB", limit / MIB);
    if limit >= ROOMY {
        return Check::ok(NAME, found);
    }
    Check::warn(
        NAME,
        found,
        "raise the memory limit of the container or unit to 512 MiB, or tables may not take all entries",
    )
}

/// The limits of this process's cgroup and of those above it, of cgroup v2 and v1.
fn limits() -> impl Iterator<Item = u64> {
    let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let files: Vec<PathBuf> = own.lines().filter_map(membership).flat_map(files).collect();
    files.into_iter().filter_map(|file| fs::read_to_string(file).ok()?.trim().parse().ok())
}

/// A line `hierarchy:controllers:path`: whether it is of v2 or of v1's memory controller, and the path.
fn membership(line: &str) -> Option<(bool, &str)> {
    let mut fields = line.splitn(3, ':').skip(1);
    let (controllers, path) = (fields.next()?, fields.next()?);
    let is_v2 = controllers.is_empty();
    (is_v2 || controllers.split(',').any(|controller| controller == "memory")).then_some((is_v2, path))
}

fn files((is_v2, path): (bool, &str)) -> Vec<PathBuf> {
    let (fstype, file) = if is_v2 { ("cgroup2", "memory.max") } else { ("cgroup", "memory.limit_in_bytes") };
    let cgroups = Path::new(path).ancestors().map(|path| path.strip_prefix("/").unwrap_or(path));
    let mounted = mounts::of_type(fstype);
    cgroups.flat_map(|cgroup| mounted.iter().map(move |mount| mount.target.join(cgroup).join(file))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_hierarchies_that_limit_memory_are_looked_at() {
        assert_eq!(membership("0::/user.slice"), Some((true, "/user.slice")));
        assert_eq!(membership("7:memory:/docker/x:y"), Some((false, "/docker/x:y")));
        assert_eq!(membership("3:cpu,cpuacct:/"), None);
    }

    #[test]
    fn limits_of_the_cgroups_above_count_too() {
        let files = files((true, "/a/b"));
        let ends = |end: &str| files.iter().any(|file| file.ends_with(end));
        assert!(ends("a/b/memory.max") && ends("a/memory.max"), "{files:?}");
    }
}
