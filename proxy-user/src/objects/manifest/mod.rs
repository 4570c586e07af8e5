//! Objects from a directory of manifests.
//!
//! Every `*.yaml`, `*.yml` and `*.json` below the directory counts, except below names that begin with a dot: these are
//! editors' and, with two dots, the hidden side of a mounted `ConfigMap`, whose files are read by their visible links. A
//! file that can't be read leaves its last good content in force.

mod decode;
mod directory;
mod error;
mod scan;
mod source;
mod watch;

pub use decode::object;
pub use error::{DocumentError, ManifestError, Shadowed, SyntaxError};
pub use source::{ManifestSource, read};
