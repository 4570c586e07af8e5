//! What is wrong with an object of which the rest counts.

use super::field::FieldError;

/// Defects found so far, each as field and problem.
#[derive(Debug, Default)]
pub(super) struct Defects(Vec<String>);

impl Defects {
    /// Notes a defect.
    pub(super) fn note(&mut self, error: &FieldError) {
        self.0.push(error.to_string());
    }

    /// The value, or nothing and a defect.
    pub(super) fn check<T>(&mut self, result: Result<T, FieldError>) -> Option<T> {
        result.inspect_err(|error| self.note(error)).ok()
    }

    /// What `convert` makes of something, and whether it found no defect in it.
    pub(super) fn watch<T>(&mut self, convert: impl FnOnce(&mut Self) -> T) -> (T, bool) {
        let before = self.0.len();
        let converted = convert(self);
        (converted, self.0.len() == before)
    }

    /// All of them, in the order in which they were found.
    pub(super) fn into_texts(self) -> Vec<String> {
        self.0
    }
}
