//! What the files of a directory say together. Pure: from changes of files to events.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::decode::Objects;
use super::error::{ManifestError, Shadowed};
use crate::model::{Change, Object, ObjectRef};
use crate::objects::{ObjectError, ObjectEvent, Place, Problem};

/// What became of a file.
#[derive(Debug)]
pub(super) enum FileChange {
    /// It was read.
    Content(Objects),
    /// It could not be used.
    Bad(ManifestError),
    /// It is no more.
    Gone,
}

/// Last good content of a file, and what is wrong with the present one.
#[derive(Debug, Default)]
struct File {
    objects: Objects,
    error: Option<Arc<ObjectError>>,
}

/// The files, and which of them has each object.
#[derive(Debug, Default)]
pub(super) struct Directory {
    files: BTreeMap<PathBuf, File>,
    /// Files that have the object; the first counts.
    holders: BTreeMap<ObjectRef, BTreeSet<PathBuf>>,
    /// Problems as last told.
    told: BTreeMap<PathBuf, String>,
}

impl Directory {
    /// Takes the changes of one moment in; returns what they change altogether.
    pub(super) fn apply(&mut self, changes: Vec<(PathBuf, FileChange)>) -> Vec<ObjectEvent> {
        let names = self.names_touched(&changes);
        let before: Vec<Option<Object>> = names.iter().map(|name| self.in_force(name).cloned()).collect();
        let mut paths: BTreeSet<PathBuf> = changes.iter().map(|(path, _)| path.clone()).collect();
        paths.extend(self.holders_of(&names));
        for (path, change) in changes {
            self.replace(path, change);
        }
        paths.extend(self.holders_of(&names));
        let mut events: Vec<ObjectEvent> = names
            .into_iter()
            .zip(before)
            .filter_map(|(name, before)| {
                let now = self.in_force(&name);
                (now != before.as_ref())
                    .then(|| ObjectEvent::Change(now.cloned().map_or(Change::Delete(name), Change::Apply)))
            })
            .collect();
        events.extend(paths.into_iter().filter_map(|path| self.tell_problem(path)));
        events
    }

    fn names_touched(&self, changes: &[(PathBuf, FileChange)]) -> BTreeSet<ObjectRef> {
        let mut names = BTreeSet::new();
        for (path, change) in changes {
            let old = self.files.get(path).into_iter().flat_map(|file| file.objects.keys());
            match change {
                FileChange::Content(objects) => names.extend(old.chain(objects.keys()).cloned()),
                FileChange::Gone => names.extend(old.cloned()),
                FileChange::Bad(_) => {}
            }
        }
        names
    }

    fn replace(&mut self, path: PathBuf, change: FileChange) {
        let objects = match change {
            FileChange::Bad(error) => {
                self.files.entry(path).or_default().error = Some(Arc::new(error.into()));
                return;
            }
            FileChange::Content(objects) => Some(objects),
            FileChange::Gone => None,
        };
        for name in self.files.remove(&path).into_iter().flat_map(|old| old.objects.into_keys()) {
            if let Some(holders) = self.holders.get_mut(&name) {
                holders.remove(&path);
                if holders.is_empty() {
                    self.holders.remove(&name);
                }
            }
        }
        let Some(objects) = objects else { return };
        for name in objects.keys() {
            self.holders.entry(name.clone()).or_default().insert(path.clone());
        }
        self.files.insert(path, File { objects, error: None });
    }

    fn in_force(&self, name: &ObjectRef) -> Option<&Object> {
        self.files.get(self.winner(name)?)?.objects.get(name)
    }

    fn winner(&self, name: &ObjectRef) -> Option<&PathBuf> {
        self.holders.get(name)?.first()
    }

    fn holders_of(&self, names: &BTreeSet<ObjectRef>) -> BTreeSet<PathBuf> {
        names.iter().filter_map(|name| self.holders.get(name)).flatten().cloned().collect()
    }

    /// The event that `path` calls for, if its problem is another than last told.
    fn tell_problem(&mut self, path: PathBuf) -> Option<ObjectEvent> {
        let Some(error) = self.problem(&path) else {
            return self.told.remove(&path).map(|_| ObjectEvent::Resolved(Place::File(path)));
        };
        let text = error.to_string();
        let is_new = self.told.insert(path.clone(), text.clone()) != Some(text);
        is_new.then_some(ObjectEvent::Problem(Problem { place: Place::File(path), error }))
    }

    fn problem(&self, path: &Path) -> Option<Arc<ObjectError>> {
        let file = self.files.get(path)?;
        if file.error.is_some() {
            return file.error.clone();
        }
        let shadowed = file.objects.keys().filter_map(|name| {
            let by = self.winner(name).filter(|winner| *winner != path)?;
            Some(Shadowed { object: name.clone(), by: by.clone() })
        });
        let objects: Vec<_> = shadowed.collect();
        (!objects.is_empty()).then(|| Arc::new(ManifestError::Shadowed { path: path.to_owned(), objects }.into()))
    }
}

#[cfg(test)]
mod tests;
