//! Where objects come from. Each source yields the same events: what changed, and what could not be read.
//!
//! `convert` turns the Kubernetes API's types into the model's, with the API server's defaults and checks; a source
//! never passes on an object that the model could misread.

mod convert;
mod event;
pub mod kubernetes;
pub mod manifest;
mod source;

pub use convert::{FieldError, FieldProblem};
pub use event::{Batch, ObjectError, ObjectEvent, Place, Problem, Problems};
pub use source::Source;
