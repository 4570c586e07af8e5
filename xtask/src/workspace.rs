//! Where things are: the workspace, and what xtask keeps below its `target`.

use std::path::{Path, PathBuf};

/// The root of the workspace.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask is a folder of the workspace")
}

/// Tools that xtask installs, so that none goes over the user's own. It is an `install --root`: programs are in `bin`.
pub(crate) fn tools() -> PathBuf {
    root().join("target/tools")
}

/// The target directory of the kernel programs, apart from the host's: other compiler, other lock, other fingerprints.
pub(crate) fn ebpf_target() -> PathBuf {
    root().join("target/bpf")
}

/// The kernel programs as `proxy-user` embeds them; its build script names the same file.
pub(crate) fn ebpf_object() -> PathBuf {
    ebpf_target().join("sluice-ebpf.o")
}
