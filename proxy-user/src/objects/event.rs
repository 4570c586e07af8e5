//! What a source says.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::manifest::ManifestError;
use crate::model::Change;

/// One thing a source has to say. Events come in batches: the state after a whole batch is one that existed.
#[derive(Clone, Debug)]
pub enum ObjectEvent {
    /// An object came, changed or went.
    Change(Change),
    /// Everything there was at the start has been told.
    Synced,
    /// Something could not be used; it replaces an earlier problem at the same place.
    Problem(Problem),
    /// The problem at this place is no more.
    Resolved(PathBuf),
}

/// Something that could not be used, and where.
#[derive(Clone, Debug)]
pub struct Problem {
    /// File or directory.
    pub path: PathBuf,
    /// What is wrong with it.
    pub error: Arc<ManifestError>,
}

/// The problems there are at present.
#[derive(Clone, Debug, Default)]
pub struct Problems {
    by_path: BTreeMap<PathBuf, Arc<ManifestError>>,
}

impl Problems {
    /// Takes `event` in, if it is about a problem.
    pub fn record(&mut self, event: &ObjectEvent) {
        match event {
            ObjectEvent::Problem(problem) => drop(self.by_path.insert(problem.path.clone(), problem.error.clone())),
            ObjectEvent::Resolved(path) => drop(self.by_path.remove(path)),
            ObjectEvent::Change(_) | ObjectEvent::Synced => {}
        }
    }

    /// Whether some of what there is can't be told: what a bad place holds, or held at last, isn't known.
    #[must_use]
    pub fn hide_objects(&self) -> bool {
        self.by_path.values().any(|error| !matches!(**error, ManifestError::Shadowed { .. }))
    }

    /// Places and what is wrong there, in the order of the paths.
    pub fn iter(&self) -> impl Iterator<Item = (&Path, &ManifestError)> {
        self.by_path.iter().map(|(path, error)| (path.as_path(), &**error))
    }
}
