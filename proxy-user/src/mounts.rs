//! What is mounted where, in this process's mount namespace.

use std::fs;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::statfs;

// The kernel's include/uapi/linux/magic.h.
const BPF_FS_MAGIC: u32 = 0xcafe_4a11;
const CGROUP2_SUPER_MAGIC: u32 = 0x6367_7270;

/// A line of `proc_mounts(5)`.
#[derive(PartialEq, Eq, Debug)]
pub(crate) struct Mount {
    /// What was given as device, which for a file system without one is any name.
    pub(crate) source: PathBuf,
    /// Mount point.
    pub(crate) target: PathBuf,
    fstype: Vec<u8>,
}

/// Mounts of a type of file system (`cgroup2`, `bpf`), in the order they were mounted.
#[must_use]
pub(crate) fn of_type(fstype: &str) -> Vec<Mount> {
    let mounts = fs::read("/proc/self/mounts").map(|table| parse(&table)).unwrap_or_default();
    mounts.into_iter().filter(|mount| mount.fstype == fstype.as_bytes()).collect()
}

/// Where the cgroup v2 hierarchy is mounted.
pub(crate) fn cgroup2() -> Option<PathBuf> {
    of_type("cgroup2").into_iter().next().map(|mount| mount.target)
}

/// `path`, or for lack of it the closest directory above, is on a BPF file system.
pub(crate) fn is_bpffs(path: &Path) -> bool {
    path.ancestors().find(|directory| directory.exists()).is_some_and(|existing| is_on(existing, BPF_FS_MAGIC))
}

/// `path` is on a cgroup v2 file system.
pub(crate) fn is_cgroup2(path: &Path) -> bool {
    is_on(path, CGROUP2_SUPER_MAGIC)
}

fn is_on(path: &Path, magic: u32) -> bool {
    // f_type has another integer type on each architecture; this one holds them all.
    statfs(path).is_ok_and(|file_system| i128::from(file_system.f_type) == i128::from(magic))
}

fn parse(table: &[u8]) -> Vec<Mount> {
    let mount = |line: &[u8]| {
        let mut fields = line.split(|byte| *byte == b' ');
        let (source, target) = (unescape(fields.next()?), unescape(fields.next()?));
        Some(Mount { source, target, fstype: fields.next()?.to_vec() })
    };
    table.split(|byte| *byte == b'\n').filter_map(mount).collect()
}

/// The kernel writes space, tab, newline and backslash as a backslash and three octal digits.
fn unescape(field: &[u8]) -> PathBuf {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let [first, tail @ ..] = rest {
        if let (b'\\', [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', after @ ..]) = (first, tail) {
            bytes.push((a - b'0') * 64 + (b - b'0') * 8 + (c - b'0'));
            rest = after;
        } else {
            bytes.push(*first);
            rest = tail;
        }
    }
    std::ffi::OsString::from_vec(bytes).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_has_its_source_and_its_mount_point() {
        let mounts = parse(b"proc /proc proc rw 0 0\ncgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n");
        let mount = |source: &str, target: &str, fstype: &str| Mount {
            source: source.into(),
            target: target.into(),
            fstype: fstype.into(),
        };
        let expected = [mount("proc", "/proc", "proc"), mount("cgroup2", "/sys/fs/cgroup/unified", "cgroup2")];
        assert_eq!(mounts, expected);
    }

    #[test]
    fn a_space_in_a_mount_point_is_read_back() {
        let mounts = parse(b"bpf /mnt/my\\040bpf\\134x bpf rw 0 0\n");
        assert_eq!(mounts[0].target, PathBuf::from("/mnt/my bpf\\x"));
    }
}
