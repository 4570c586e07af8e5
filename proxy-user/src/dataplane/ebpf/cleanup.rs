//! Removal of everything pinned.

use std::path::{Path, PathBuf};
use std::{fs, io};

/// Something that can't be removed.
#[derive(Debug, thiserror::Error)]
#[error("{}: {source}; removing pins takes root and a bpffs that is mounted to be written", path.display())]
pub struct CleanupError {
    path: PathBuf,
    source: io::Error,
}

/// Unpins every map and link of every version of the layouts below `bpffs` (a link without a pin is detached by the
/// kernel), and removes their directories. Whatever else is there is left: the kernel's own files at the root of a
/// bpffs can't be removed, and others' pins aren't ours. Returns what was removed.
pub fn cleanup(bpffs: &Path) -> Result<Vec<String>, CleanupError> {
    let mut removed = Vec::new();
    for version in entries(bpffs)?.into_iter().filter(|path| is_version(path)) {
        remove(&version, &mut removed)?;
    }
    // Fails where something is left, or where the directory is itself a mount point.
    if fs::remove_dir(bpffs).is_ok() {
        removed.push(bpffs.display().to_string());
    }
    Ok(removed)
}

/// `v` and a number.
fn is_version(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str());
    name.and_then(|name| name.strip_prefix('v')).is_some_and(|number| number.parse::<u32>().is_ok())
}

fn entries(directory: &Path) -> Result<Vec<PathBuf>, CleanupError> {
    let listed = fs::read_dir(directory).and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect());
    match listed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        listed => listed.map_err(|source| CleanupError { path: directory.into(), source }),
    }
}

fn remove(path: &Path, removed: &mut Vec<String>) -> Result<(), CleanupError> {
    let result = if path.is_dir() {
        for entry in entries(path)? {
            remove(&entry, removed)?;
        }
        fs::remove_dir(path)
    } else {
        fs::remove_file(path)
    };
    result.map_err(|source| CleanupError { path: path.into(), source })?;
    removed.push(path.display().to_string());
    Ok(())
}
