//! Removal of everything pinned.

use std::path::{Path, PathBuf};
use std::{fs, io};

/// Something that can't be removed.
#[derive(Debug, thiserror::Error)]
#[error("{}: {source}; is it pinned by another user, or is the file system read-only?", path.display())]
pub struct CleanupError {
    path: PathBuf,
    source: io::Error,
}

/// Unpins every map and link below `bpffs` (a link without a pin is detached by the kernel), of every version of the
/// layouts, and removes the directories. Returns the paths removed; where nothing is, nothing happens.
pub fn cleanup(bpffs: &Path) -> Result<Vec<String>, CleanupError> {
    let mut removed = Vec::new();
    remove(bpffs, &mut removed)?;
    Ok(removed)
}

fn remove(path: &Path, removed: &mut Vec<String>) -> Result<(), CleanupError> {
    let failed = |source| CleanupError { path: path.into(), source };
    let metadata = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        found => found.map_err(failed)?,
    };
    if metadata.is_dir() {
        for entry in fs::read_dir(path).map_err(failed)? {
            remove(&entry.map_err(failed)?.path(), removed)?;
        }
        match fs::remove_dir(path) {
            // The directory is itself a mount point.
            Err(error) if error.kind() == io::ErrorKind::ResourceBusy => return Ok(()),
            result => result.map_err(failed)?,
        }
    } else {
        fs::remove_file(path).map_err(failed)?;
    }
    removed.push(path.display().to_string());
    Ok(())
}
