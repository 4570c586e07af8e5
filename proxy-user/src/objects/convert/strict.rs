//! Parts of an object that are wrong by themselves.

use std::fmt::Write as _;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_ignored::Path;
use serde_json::Value;

use super::defects::Defects;
use super::field::FieldProblem;

/// A part of an object. If it isn't of the type that it should be, or has a field that nobody knows, this costs the part
/// and not the object. Such a field is no trifle: it may be misspelled, and was to narrow what the part says.
#[derive(Debug)]
pub(super) struct Strict<T> {
    /// The part, or where in it the type is wrong.
    value: Result<T, (String, serde_json::Error)>,
    /// Fields that nobody knows.
    unknown: Vec<String>,
}

impl<T> Strict<T> {
    /// The part as far as it could be read, and whether that is all of it. `path` is where it stands.
    pub(super) fn get(&self, path: &str, defects: &mut Defects) -> (Option<&T>, bool) {
        for field in &self.unknown {
            defects.note(&FieldProblem::UnknownField.at(join(path, field)));
        }
        match &self.value {
            Ok(value) => (Some(value), self.unknown.is_empty()),
            Err((field, error)) => {
                defects.note(&FieldProblem::OtherType(error.to_string()).at(join(path, field)));
                (None, false)
            }
        }
    }

    /// The part, if nothing of it is left out.
    pub(super) fn whole(&self, path: &str, defects: &mut Defects) -> Option<&T> {
        let (value, is_whole) = self.get(path, defects);
        value.filter(|_| is_whole)
    }
}

impl<T> Strict<Vec<T>> {
    /// Whether it is a list without entries, rather than anything that is wrong.
    pub(super) fn is_empty_list(&self) -> bool {
        self.value.as_ref().is_ok_and(Vec::is_empty)
    }
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for Strict<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        let (mut unknown, mut track) = (Vec::new(), serde_path_to_error::Track::new());
        let mut note = |path: Path<'_>| unknown.push(text(&path));
        let tracked = serde_path_to_error::Deserializer::new(value, &mut track);
        let value = T::deserialize(serde_ignored::Deserializer::new(tracked, &mut note));
        Ok(Self { value: value.map_err(|error| (track.path().to_string(), error)), unknown })
    }
}

/// A path within the part at `path`; the part itself is `.`.
fn join(path: &str, within: &str) -> String {
    match within {
        "." => path.to_owned(),
        within if within.starts_with('[') => format!("{path}{within}"),
        within => format!("{path}.{within}"),
    }
}

/// A path as other errors have it.
fn text(path: &Path<'_>) -> String {
    let mut text = match path {
        Path::Root => return String::new(),
        Path::Seq { parent, .. }
        | Path::Map { parent, .. }
        | Path::Some { parent }
        | Path::NewtypeStruct { parent }
        | Path::NewtypeVariant { parent } => text(parent),
    };
    match path {
        Path::Seq { index, .. } => {
            // Writing to a string can't fail.
            let _ = write!(text, "[{index}]");
        }
        Path::Map { key, .. } => {
            text.push_str(if text.is_empty() { "" } else { "." });
            text.push_str(key);
        }
        _ => {}
    }
    text
}
