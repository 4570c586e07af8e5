//! Which files there are, and which of them changed since the last look.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs::{self, Metadata};
use std::io;
use std::ops::Bound;
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
    /// There are links: what is notified of under one name may be seen under another.
    has_links: bool,
}

/// What notifications add to a look at the directory.
#[derive(Debug, Default)]
pub(super) struct Hints {
    /// Files to be read even if they look the same.
    pub(super) touched: BTreeSet<PathBuf>,
    /// Files that somebody is writing: they are left alone.
    pub(super) being_written: BTreeSet<PathBuf>,
    /// Nothing can have happened elsewhere: a look at what was touched is enough.
    pub(super) only_touched: bool,
}

impl Scanner {
    pub(super) fn new(root: PathBuf) -> Self {
        Self { root, known: BTreeMap::new(), has_links: false }
    }

    /// Looks at the directory, and reads what changed.
    pub(super) fn scan(&mut self, hints: &Hints) -> Vec<(PathBuf, FileChange)> {
        if hints.only_touched && hints.touched.iter().all(|path| self.stands_alone(path)) {
            hints.touched.iter().filter_map(|path| self.scan_file(path, hints)).collect()
        } else {
            self.scan_all(hints)
        }
    }

    /// Whether a look at `path` shows all that a look at the whole directory would show of what happened there: it is, or
    /// was, a file and nothing else.
    fn stands_alone(&self, path: &Path) -> bool {
        let is_below = path != self.root && path.starts_with(&self.root);
        let is_file = match fs::symlink_metadata(path) {
            Ok(metadata) => metadata.is_file(),
            Err(error) => error.kind() == io::ErrorKind::NotFound,
        };
        let mut known = self.known.range::<Path, _>((Bound::Included(path), Bound::Unbounded)).map(|(known, _)| known);
        let was_directory = known.find(|known| *known != path).is_some_and(|known| known.starts_with(path));
        !self.has_links && is_below && is_file && !was_directory
    }

    /// Looks at one file.
    fn scan_file(&mut self, path: &Path, hints: &Hints) -> Option<(PathBuf, FileChange)> {
        let below = path.strip_prefix(&self.root).ok()?;
        if below.iter().any(is_hidden) {
            return None;
        }
        match self.look(path, hints, || fs::metadata(path)) {
            Ok(None) => None,
            Ok(Some(seen)) => {
                self.known.insert(seen.path.clone(), seen.signature);
                seen.change.map(|change| (seen.path, change))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.known.remove(path).map(|_| (path.to_owned(), FileChange::Gone))
            }
            Err(source) => {
                self.known.insert(path.to_owned(), None);
                let error = ManifestError::Read { path: path.to_owned(), source };
                Some((path.to_owned(), FileChange::Bad(error)))
            }
        }
    }

    fn scan_all(&mut self, hints: &Hints) -> Vec<(PathBuf, FileChange)> {
        let mut changes = Vec::new();
        let mut known = BTreeMap::new();
        let mut unreadable = Vec::new();
        self.has_links = false;
        let entries = WalkDir::new(&self.root).follow_links(true).into_iter();
        for entry in entries.filter_entry(|entry| entry.depth() == 0 || !is_hidden(entry.file_name())) {
            self.has_links |= entry.as_ref().map_or(true, DirEntry::path_is_symlink);
            match entry.map_err(io_error).and_then(|entry| self.look_at(&entry, hints)) {
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

    fn look_at(&self, entry: &DirEntry, hints: &Hints) -> Result<Option<Seen>, (PathBuf, io::Error)> {
        if !entry.file_type().is_file() {
            return Ok(None);
        }
        let metadata = || entry.metadata().map_err(|error| io_error(error).1);
        self.look(entry.path(), hints, metadata).map_err(|error| (entry.path().to_owned(), error))
    }

    /// What there is in the file `path`; `None` where no manifest can be.
    fn look(
        &self,
        path: &Path,
        hints: &Hints,
        metadata: impl FnOnce() -> io::Result<Metadata>,
    ) -> io::Result<Option<Seen>> {
        let Some(format) = format_of(path) else { return Ok(None) };
        let seen = |signature, change| Ok(Some(Seen { path: path.to_owned(), signature, change }));
        let old = self.known.get(path).copied();
        if hints.being_written.contains(path) {
            return old.map_or(Ok(None), |signature| seen(signature, None));
        }
        let signature = Some(Signature::from(&metadata()?));
        if old == Some(signature) && !hints.touched.contains(path) {
            return seen(signature, None);
        }
        let change = match decode(&fs::read(path)?, format) {
            Ok(objects) => FileChange::Content(objects),
            Err(source) => FileChange::Bad(ManifestError::Document { path: path.to_owned(), source: source.into() }),
        };
        seen(signature, Some(change))
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

/// Whether a file of this name would be read.
pub(super) fn is_manifest(path: &Path) -> bool {
    format_of(path).is_some() && !path.file_name().is_some_and(is_hidden)
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

#[cfg(test)]
mod tests;
