//! What a source says.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use super::FieldError;
use super::manifest::ManifestError;
use crate::model::{Change, Kind, ObjectRef, ServiceRef};

/// The changes of one moment: the state after a whole batch is one that existed.
#[derive(Debug)]
pub struct Batch {
    /// When they were noticed; reading them comes after.
    pub seen: Instant,
    /// What changed.
    pub events: Vec<ObjectEvent>,
}

/// One thing a source has to say.
#[derive(Clone, Debug)]
pub enum ObjectEvent {
    /// An object came, changed or went.
    Change(Change),
    /// Everything there was at the start has been told.
    Synced,
    /// Something could not be used; it replaces an earlier problem at the same place.
    Problem(Problem),
    /// The problem at this place is no more.
    Resolved(Place),
}

/// Where something stands that can't be used.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Place {
    /// A file or directory.
    File(PathBuf),
    /// An object of the API server.
    Object(ObjectRef),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Object(object) => object.fmt(f),
        }
    }
}

/// Something that could not be used, and where.
#[derive(Clone, Debug)]
pub struct Problem {
    /// Where it stands.
    pub place: Place,
    /// What is wrong with it.
    pub error: Arc<ObjectError>,
}

/// What is wrong with what a source has.
#[derive(Debug, thiserror::Error)]
pub enum ObjectError {
    /// With a file.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// With an object of the API server; its last good state stays in force.
    #[error("{object}: {source}; its last good state stays in force")]
    Object {
        /// The object.
        object: ObjectRef,
        /// The field and what is wrong with it.
        source: Arc<FieldError>,
    },
}

/// The problems there are at present.
#[derive(Clone, Debug, Default)]
pub struct Problems {
    by_place: BTreeMap<Place, Arc<ObjectError>>,
}

impl Problems {
    /// Takes `event` in, if it is about a problem.
    pub fn record(&mut self, event: &ObjectEvent) {
        match event {
            ObjectEvent::Problem(problem) => drop(self.by_place.insert(problem.place.clone(), problem.error.clone())),
            ObjectEvent::Resolved(place) => drop(self.by_place.remove(place)),
            ObjectEvent::Change(_) | ObjectEvent::Synced => {}
        }
    }

    /// Whether nobody can tell which Services there are: what a bad file holds, or held at last, isn't known.
    #[must_use]
    pub fn hide_services(&self) -> bool {
        self.by_place.iter().any(is_hiding_file)
    }

    /// Whether this Service may be there although no object told so far asks for it. An object of the API server that
    /// can't be used hides nothing but itself.
    #[must_use]
    pub fn may_hide(&self, service: &ServiceRef) -> bool {
        self.hide_services() || self.by_place.contains_key(&Place::Object(service.into()))
    }

    /// Whether nobody can tell who is isolated from whom: of the objects that this depends on, one isn't known.
    #[must_use]
    pub fn hide_policies(&self) -> bool {
        let is_about_policy = |place: &Place| match place {
            Place::File(_) => false,
            Place::Object(object) => {
                matches!(object.kind, Kind::Namespace | Kind::NetworkPolicy | Kind::Node | Kind::Pod)
            }
        };
        self.hide_services() || self.by_place.keys().any(is_about_policy)
    }

    /// Places and what is wrong there, in the order of the places.
    pub fn iter(&self) -> impl Iterator<Item = (&Place, &ObjectError)> {
        self.by_place.iter().map(|(place, error)| (place, &**error))
    }
}

/// Whether a file may hold, or have held, what isn't known. What another file has already is.
fn is_hiding_file((place, error): (&Place, &Arc<ObjectError>)) -> bool {
    let is_shadowed = matches!(**error, ObjectError::Manifest(ManifestError::Shadowed { .. }));
    matches!(place, Place::File(_)) && !is_shadowed
}
