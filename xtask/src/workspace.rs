//! Where things are: the workspace, and what xtask keeps below its `target`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

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

/// The target directory of the agent for images: linked in another way, and so built of other flags.
pub(crate) fn image_target() -> PathBuf {
    root().join("target/image")
}

/// The kernel programs as `proxy-user` embeds them; its build script names the same file.
pub(crate) fn ebpf_object() -> PathBuf {
    ebpf_target().join("sluice-ebpf.o")
}

/// Every Rust file of the workspace, without what is built and what is hidden.
pub(crate) fn sources() -> Result<Vec<PathBuf>> {
    files_in(root(), "rs")
}

/// Every page of documentation of the workspace, the same way.
pub(crate) fn pages() -> Result<Vec<PathBuf>> {
    files_in(root(), "md")
}

fn files_in(folder: &Path, wanted: &str) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))? {
        let entry = entry?;
        let (name, path) = (entry.file_name(), entry.path());
        if name == "target" || name.to_string_lossy().starts_with('.') {
            continue;
        }
        if entry.file_type()?.is_dir() {
            found.extend(files_in(&path, wanted)?);
        } else if path.extension().is_some_and(|extension| extension == wanted) {
            found.push(path);
        }
    }
    Ok(found)
}
