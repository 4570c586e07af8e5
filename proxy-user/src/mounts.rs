//! What is mounted where, in this process's mount namespace.

use std::fs;
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;

/// Mount points of the file systems of a type (`cgroup2`, `bpf`), in the order they were mounted.
#[must_use]
pub(crate) fn of_type(fstype: &str) -> Vec<PathBuf> {
    fs::read("/proc/self/mounts").map(|table| parse(&table, fstype)).unwrap_or_default()
}

/// The lines of `proc_mounts(5)`: device, mount point, type, options.
fn parse(table: &[u8], fstype: &str) -> Vec<PathBuf> {
    let of_type = |line: &[u8]| {
        let mut fields = line.split(|byte| *byte == b' ').skip(1);
        let path = fields.next()?;
        (fields.next()? == fstype.as_bytes()).then(|| unescape(path))
    };
    table.split(|byte| *byte == b'\n').filter_map(of_type).collect()
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
    fn only_mounts_of_the_type_are_listed() {
        let table =
            b"proc /proc proc rw 0 0\ncgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\ncgroup /cpu cgroup rw 0 0\n";
        assert_eq!(parse(table, "cgroup2"), [PathBuf::from("/sys/fs/cgroup/unified")]);
    }

    #[test]
    fn a_space_in_a_mount_point_is_read_back() {
        assert_eq!(parse(b"bpf /mnt/my\\040bpf\\134x bpf rw 0 0\n", "bpf"), [PathBuf::from("/mnt/my bpf\\x")]);
    }
}
