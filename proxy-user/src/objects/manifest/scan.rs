//! Which files there are, and which of them changed since the last look.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use walkdir::{DirEntry, WalkDir};

use super::decode::{Format, decode};
use super::directory::FileChange;
use super::error::ManifestError;

/// What tells one content of a file from another without reading it: device, inode, size, and the times of the last
/// change of content and of anything (seconds and nanoseconds).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Signature {
    file: (u64, u64, u64),
    modified: (i64, i64),
    changed: (i64, i64),
}

impl From<&Metadata> for Signature {
    fn from(it: &Metadata) -> Self {
        Self {
            file: (it.dev(), it.ino(), it.size()),
            modified: (it.mtime(), it.mtime_nsec()),
            changed: (it.ctime(), it.ctime_nsec()),
        }
    }
}

/// The directory as it was at the last look.
#[derive(Debug)]
pub(super) struct Scanner {
    root: PathBuf,
    /// Files with what they looked like; places that could not be read with none.
    known: BTreeMap<PathBuf, Option<Signature>>,
}

/// What notifications add to a look at the directory.
#[derive(Debug, Default)]
pub(super) struct Hints {
    /// Files to be read even if they look the same.
    pub(super) touched: BTreeSet<PathBuf>,
    /// Files that somebody is writing: they are left alone.
    pub(super) being_written: BTreeSet<PathBuf>,
}

impl Scanner {
    pub(super) fn new(root: PathBuf) -> Self {
        Self { root, known: BTreeMap::new() }
    }

    /// Looks at the whole directory, and reads what changed.
    pub(super) fn scan(&mut self, hints: &Hints) -> Vec<(PathBuf, FileChange)> {
        let mut changes = Vec::new();
        let mut known = BTreeMap::new();
        let mut unreadable = Vec::new();
        let entries = WalkDir::new(&self.root).follow_links(true).into_iter();
        for entry in entries.filter_entry(|entry| entry.depth() == 0 || !is_hidden(entry.file_name())) {
            match entry.map_err(io_error).and_then(|entry| self.look(&entry, hints)) {
                Ok(None) => {}
                Ok(Some(seen)) => {
                    changes.extend(seen.change.map(|change| (seen.path.clone(), change)));
                    known.insert(seen.path, seen.signature);
                }
                Err((path, source)) if source.kind() == io::ErrorKind::NotFound && path != self.root => {}
                Err((path, source)) => {
                    changes.push((path.clone(), FileChange::Bad(ManifestError::Read { path: path.clone(), source })));
                    known.insert(path.clone(), None);
                    unreadable.push(path);
                }
            }
        }
        for (path, signature) in std::mem::take(&mut self.known) {
            if known.contains_key(&path) {
                continue;
            }
            // What can't be looked at is not gone.
            if unreadable.iter().any(|place| *place != path && path.starts_with(place)) {
                known.insert(path, signature);
            } else {
                changes.push((path, FileChange::Gone));
            }
        }
        self.known = known;
        changes
    }

    /// What there is at `entry`; `None` where no manifest can be.
    fn look(&self, entry: &DirEntry, hints: &Hints) -> Result<Option<Seen>, (PathBuf, io::Error)> {
        let path = entry.path().to_owned();
        let Some(format) = format_of(&path).filter(|_| entry.file_type().is_file()) else { return Ok(None) };
        let old = self.known.get(&path).copied();
        if hints.being_written.contains(&path) {
            return Ok(old.map(|signature| Seen { path, signature, change: None }));
        }
        let signature = Some(Signature::from(&entry.metadata().map_err(io_error)?));
        if old == Some(signature) && !hints.touched.contains(&path) {
            return Ok(Some(Seen { path, signature, change: None }));
        }
        let bytes = fs::read(&path).map_err(|error| (path.clone(), error))?;
        let change = match decode(&bytes, format) {
            Ok(objects) => FileChange::Content(objects),
            Err(source) => FileChange::Bad(ManifestError::Document { path: path.clone(), source: source.into() }),
        };
        Ok(Some(Seen { path, signature, change: Some(change) }))
    }
}

/// A file, and what it holds if that was read.
struct Seen {
    path: PathBuf,
    signature: Option<Signature>,
    change: Option<FileChange>,
}

fn is_hidden(name: &OsStr) -> bool {
    name.as_bytes().starts_with(b".")
}

fn format_of(path: &Path) -> Option<Format> {
    match path.extension()?.to_str()? {
        "yaml" | "yml" => Some(Format::Yaml),
        "json" => Some(Format::Json),
        _ => None,
    }
}

/// The place and the kernel's answer; for a loop of links, which is found before the kernel is asked, what it would say.
fn io_error(error: walkdir::Error) -> (PathBuf, io::Error) {
    let path = error.path().map(Path::to_owned).unwrap_or_default();
    (path, error.into_io_error().unwrap_or_else(|| io::Error::from_raw_os_error(libc::ELOOP)))
}
