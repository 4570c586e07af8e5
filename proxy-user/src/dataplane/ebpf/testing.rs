//! What the tests of this module share: a BPF file system of their own.

use std::path::Path;

use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use tempfile::TempDir;

/// A fresh BPF file system, gone with the value.
pub(super) struct Bpffs(TempDir);

impl Bpffs {
    pub(super) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        mount("test", directory.path(), "bpf", MountFlags::empty(), None)
            .expect("mounting a BPF file system takes root");
        Self(directory)
    }

    pub(super) fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Bpffs {
    fn drop(&mut self) {
        let _ = unmount(self.0.path(), UnmountFlags::DETACH);
    }
}
