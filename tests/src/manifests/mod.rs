//! The directory of manifests that a lab's agents watch, and what the lab itself takes from it.

pub mod build;
mod objects;
pub mod rules;
mod slices;
#[cfg(test)]
mod tests;

use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize as _;
use serde::de::DeserializeOwned;
use serde_yaml_ng::{Deserializer, Value};

pub use objects::{PodManifest, ServiceManifest, ServicePort};
pub use slices::{Condition, Endpoint, Slices};

use crate::error::{Doing, Error, Result};

/// A directory of manifests. Files change through a rename, so that an agent never reads half of one.
#[derive(Debug)]
pub struct Manifests {
    dir: PathBuf,
}

impl Manifests {
    pub(crate) const fn new(dir: PathBuf) -> Self {
        Self { dir }
    }

    /// The directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Puts a file in place, or replaces it.
    pub fn write(&self, file: &str, text: &str) -> Result<()> {
        let temporary = self.dir.join(format!(".{file}.new"));
        fs::write(&temporary, text).doing(|| format!("write {}", temporary.display()))?;
        let path = self.dir.join(file);
        fs::rename(&temporary, &path).doing(|| format!("put {} in place", path.display()))
    }

    /// Removes a file.
    pub fn remove(&self, file: &str) -> Result<()> {
        let path = self.dir.join(file);
        fs::remove_file(&path).doing(|| format!("remove {}", path.display()))
    }

    /// Copies every manifest of a directory.
    pub fn copy_from(&self, dir: impl AsRef<Path>) -> Result<()> {
        for path in files(dir.as_ref())? {
            let text = fs::read_to_string(&path).doing(|| format!("read {}", path.display()))?;
            self.write(&file_name(&path), &text)?;
        }
        Ok(())
    }

    /// The Pods.
    pub fn pods(&self) -> Result<Vec<PodManifest>> {
        self.of_kind("Pod")
    }

    /// A Pod by its name.
    pub fn pod(&self, name: &str) -> Result<PodManifest> {
        named("Pod", name, self.pods()?, PodManifest::name)
    }

    /// The Services.
    pub fn services(&self) -> Result<Vec<ServiceManifest>> {
        self.of_kind("Service")
    }

    /// A Service by its name.
    pub fn service(&self, name: &str) -> Result<ServiceManifest> {
        named("Service", name, self.services()?, ServiceManifest::name)
    }

    /// Sets a Pod's Ready condition.
    pub fn set_ready(&self, pod: &str, ready: bool) -> Result<()> {
        let status = if ready { "True" } else { "False" };
        self.edit("Pod", pod, |object| {
            let conditions = object.get_mut("status")?.get_mut("conditions")?.as_sequence_mut()?;
            let condition = conditions.iter_mut().find(|condition| condition["type"] == "Ready")?;
            condition["status"] = status.into();
            Some(())
        })
    }

    /// Says that a Pod is being deleted; it is ready for as long as its Ready condition says so.
    pub fn set_terminating(&self, pod: &str) -> Result<()> {
        self.edit("Pod", pod, |object| {
            let metadata = object.get_mut("metadata")?.as_mapping_mut()?;
            metadata.insert("deletionTimestamp".into(), "2026-01-01T00:00:00Z".into());
            Some(())
        })
    }

    /// Removes one object, and leaves the others of its file.
    pub fn delete(&self, kind: &str, name: &str) -> Result<()> {
        self.with_object(kind, name, |documents, position| {
            documents.remove(position);
            Some(())
        })
    }

    /// Changes one object where it is; `change` returns none when the object lacks the field.
    pub fn edit(&self, kind: &str, name: &str, change: impl Fn(&mut Value) -> Option<()>) -> Result<()> {
        self.with_object(kind, name, |documents, position| change(&mut documents[position]))
    }

    /// Changes the file that an object is in, its documents and the place of the object among them.
    fn with_object(&self, kind: &str, name: &str, change: impl Fn(&mut Vec<Value>, usize) -> Option<()>) -> Result<()> {
        for path in files(&self.dir)? {
            let mut documents = documents(&path)?;
            let wanted = |object: &Value| object["kind"] == kind && object["metadata"]["name"] == name;
            let Some(position) = documents.iter().position(wanted) else { continue };
            change(&mut documents, position).ok_or_else(|| Error::Manifest {
                file: path.clone(),
                object: format!("{kind} {name}"),
                problem: "it lacks the field that is to be changed".into(),
            })?;
            let texts: Result<Vec<_>, _> = documents.iter().map(serde_yaml_ng::to_string).collect();
            let texts = texts.map_err(|error| problem(&path, &format!("{kind} {name}"), &error))?;
            return self.write(&file_name(&path), &texts.join("---\n"));
        }
        Err(Error::Unknown { what: "manifest", name: format!("{kind} {name}"), have: "are others".into() })
    }

    fn of_kind<T: DeserializeOwned>(&self, kind: &str) -> Result<Vec<T>> {
        let mut found = Vec::new();
        for path in files(&self.dir)? {
            for object in documents(&path)?.into_iter().filter(|object| object["kind"] == kind) {
                let name = format!("{kind} {}", object["metadata"]["name"].as_str().unwrap_or("without a name"));
                found.push(serde_yaml_ng::from_value(object).map_err(|error| problem(&path, &name, &error))?);
            }
        }
        Ok(found)
    }
}

/// The one of that name.
fn named<T>(kind: &'static str, name: &str, all: Vec<T>, name_of: impl Fn(&T) -> &str) -> Result<T> {
    let names: Vec<_> = all.iter().map(|object| name_of(object).to_owned()).collect();
    all.into_iter().find(|object| name_of(object) == name).ok_or_else(|| Error::Unknown {
        what: kind,
        name: name.into(),
        have: format!("are {}", names.join(", ")),
    })
}

/// The YAML files of a directory, sorted.
fn files(dir: &Path) -> Result<Vec<PathBuf>> {
    let list = || format!("list the manifests in {}", dir.display());
    let mut paths = Vec::new();
    for entry in fs::read_dir(dir).doing(list)? {
        let path = entry.doing(list)?.path();
        if path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml") {
            paths.push(path);
        }
    }
    paths.sort_unstable();
    Ok(paths)
}

fn documents(path: &Path) -> Result<Vec<Value>> {
    let text = fs::read_to_string(path).doing(|| format!("read {}", path.display()))?;
    let parse = |(number, document)| {
        Value::deserialize(document).map_err(|error| problem(path, &format!("document {}", number + 1), &error))
    };
    Deserializer::from_str(&text).enumerate().map(parse).collect()
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn problem(file: &Path, object: &str, error: &serde_yaml_ng::Error) -> Error {
    Error::Manifest { file: file.into(), object: object.into(), problem: error.to_string() }
}
