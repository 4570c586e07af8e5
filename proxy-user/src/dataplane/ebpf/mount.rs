//! The BPF file system under the pins.

use std::fs;
use std::io;
use std::path::Path;

use rustix::fs::{Mode, mkdir};
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};

use super::error::Error;
use super::pins::pin_error;
use crate::mounts::{self, is_bpffs};

/// Where a BPF file system is by convention: a directory of sysfs, in which none can be made.
const USUAL: &str = "/sys/fs/bpf";
/// Device name of a mount that we made, by which [`unmount_ours`] knows it again.
const SOURCE: &str = "sluice";

/// Makes `path` a directory on a BPF file system: mounts one at the usual place for a path below that, at `path` for
/// any other, unless there is one already.
pub(super) fn ensure_bpffs(path: &Path) -> Result<(), Error> {
    let error = |action| move |source: io::Error| Error::Bpffs { path: path.to_owned(), action, source };
    if !is_bpffs(path) {
        let usual = Path::new(USUAL);
        let target = if path.starts_with(usual) { usual } else { path };
        fs::create_dir_all(target).map_err(error("making the directory"))?;
        mount(SOURCE, target, "bpf", MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC, c"mode=0700")
            .map_err(|errno| error("mounting")(errno.into()))?;
        tracing::info!(path = %target.display(), "mounted a BPF file system");
    }
    make_directories(path).map_err(error("making the directory"))
}

/// Makes a directory and those above it, for root only.
pub(super) fn make_directories(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    if let Some(parent) = path.parent() {
        make_directories(parent)?;
    }
    Ok(mkdir(path, Mode::RWXU)?)
}

/// Unmounts the file system at exactly `path`, if [`ensure_bpffs`] mounted it. Whether it did.
pub(super) fn unmount_ours(path: &Path) -> Result<bool, Error> {
    let is_ours = |mount: &mounts::Mount| mount.target == path && mount.source == Path::new(SOURCE);
    if !mounts::of_type("bpf").iter().any(is_ours) {
        return Ok(false);
    }
    unmount(path, UnmountFlags::empty()).map_err(|errno| pin_error("unmount", path)(errno.into()))?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bpffs_is_mounted_where_there_is_none_and_unmounted_again() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("with space");
        assert!(!is_bpffs(&path));
        ensure_bpffs(&path).unwrap();
        ensure_bpffs(&path.join("below")).unwrap();
        assert!(is_bpffs(&path.join("below")));
        fs::remove_dir(path.join("below")).unwrap();
        assert!(unmount_ours(&path).unwrap());
        assert!(!is_bpffs(&path));
        assert!(!unmount_ours(&path).unwrap());
    }

    #[test]
    fn a_bpffs_of_someone_else_stays_mounted() {
        let directory = tempfile::tempdir().unwrap();
        mount("other", directory.path(), "bpf", MountFlags::empty(), None).unwrap();
        ensure_bpffs(directory.path()).unwrap();
        assert!(!unmount_ours(directory.path()).unwrap());
        unmount(directory.path(), UnmountFlags::empty()).unwrap();
    }

    #[test]
    fn a_path_where_nothing_can_be_mounted_is_named() {
        let error = ensure_bpffs(Path::new("/proc/sluice")).unwrap_err().to_string();
        assert!(error.contains("/proc/sluice") && error.contains("--bpffs"), "{error}");
    }
}
