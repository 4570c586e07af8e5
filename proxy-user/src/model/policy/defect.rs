//! What of an object that policy depends on can't be used.

use std::fmt;

use crate::model::ObjectRef;

/// A part of an object that can't be used; the rest counts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Defect<'a> {
    /// The object.
    pub object: ObjectRef,
    /// The field, and what is wrong with it.
    pub text: &'a str,
}

impl fmt::Display for Defect<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.object, self.text)
    }
}
