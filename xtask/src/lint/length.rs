//! A file one can't hold in the head is two files.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use crate::workspace;

const MOST_LINES: usize = 800;

pub(super) fn check() -> Result<()> {
    let mut long = Vec::new();
    for file in sources(workspace::root())? {
        let lines =
            fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?.lines().count();
        if lines > MOST_LINES {
            long.push(format!("{} has {lines} lines", file.display()));
        }
    }
    if long.is_empty() { Ok(()) } else { bail!("split by what belongs together: {}", long.join(", ")) }
}

/// The Rust files below a folder, without what is built and what is hidden.
fn sources(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))? {
        let entry = entry?;
        let (name, path) = (entry.file_name(), entry.path());
        if name == "target" || name.to_string_lossy().starts_with('.') {
            continue;
        }
        if entry.file_type()?.is_dir() {
            found.extend(sources(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    Ok(found)
}
