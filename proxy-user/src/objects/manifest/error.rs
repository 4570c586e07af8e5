//! What can be wrong with manifests.

use std::fmt;
use std::io;
use std::path::PathBuf;

use crate::model::ObjectRef;
use crate::objects::FieldError;

/// Something in the directory could not be used.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// A file or directory could not be read; what was last read of it stays in force.
    #[error("{}: cannot be read: {source}; its last good content stays in force", path.display())]
    Read {
        /// The file or directory.
        path: PathBuf,
        /// The kernel's answer.
        source: io::Error,
    },
    /// A document of a file is bad; the last good content of the file stays in force.
    #[error("{}: {source}; the file's last good content stays in force", path.display())]
    Document {
        /// The file.
        path: PathBuf,
        /// Document, object and field.
        source: Box<DocumentError>,
    },
    /// Objects that an earlier file has too; the earlier one counts, the rest of this file is in force.
    #[error("{}: not used, as another file comes first: {}", path.display(), Shadowed::list(objects))]
    Shadowed {
        /// The file.
        path: PathBuf,
        /// Its objects that don't count.
        objects: Vec<Shadowed>,
    },
}

/// An object that another file has too.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Shadowed {
    /// The object.
    pub object: ObjectRef,
    /// The file that counts: the first by path.
    pub by: PathBuf,
}

impl Shadowed {
    fn list(objects: &[Self]) -> String {
        objects.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    }
}

impl fmt::Display for Shadowed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (is in {})", self.object, self.by.display())
    }
}

/// A document that cannot be used. Documents of a file count from 1.
#[derive(Debug, thiserror::Error)]
pub enum DocumentError {
    /// It is no YAML or JSON.
    #[error("document {document}: {source}")]
    Syntax {
        /// Which document.
        document: usize,
        /// Line and column, and what is wrong there.
        source: SyntaxError,
    },
    /// A field cannot be used.
    #[error("document {document}: {object}: {source}")]
    Field {
        /// Which document.
        document: usize,
        /// Kind, namespace and name, as far as they are known.
        object: String,
        /// The field and what is wrong with it.
        source: FieldError,
    },
    /// The file has the object twice.
    #[error("document {document}: {object}: is in document {first} already")]
    Twice {
        /// Which document.
        document: usize,
        /// The object.
        object: ObjectRef,
        /// The document that has it first.
        first: usize,
    },
}

/// Text that is no YAML or JSON.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub enum SyntaxError {
    /// Of a YAML file.
    Yaml(#[from] serde_yaml_ng::Error),
    /// Of a JSON file.
    Json(#[from] serde_json::Error),
}
