//! Equal values of many owners, kept once.

use std::collections::HashSet;
use std::hash::Hash;
use std::sync::Arc;

/// The values that there are.
#[derive(Debug)]
pub(super) struct Shared<T> {
    values: HashSet<Arc<T>>,
}

// Not derived, which would ask it of `T` too.
impl<T> Default for Shared<T> {
    fn default() -> Self {
        Self { values: HashSet::new() }
    }
}

impl<T: Clone + Eq + Hash> Shared<T> {
    /// The one of its value that all owners have.
    pub(super) fn share(&mut self, value: &T) -> Arc<T> {
        if let Some(held) = self.values.get(value) {
            return held.clone();
        }
        // Nobody else has this one, so that its owners can be counted.
        let held = Arc::new(value.clone());
        self.values.insert(held.clone());
        held
    }

    /// To be said by an owner who is about to drop it. It is forgotten with its last owner.
    pub(super) fn release(&mut self, value: &Arc<T>) {
        const OURS_AND_THE_LAST_OWNERS: usize = 2;
        if Arc::strong_count(value) == OURS_AND_THE_LAST_OWNERS {
            self.values.remove(value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_are_kept_once_and_for_as_long_as_somebody_has_them() {
        let mut shared = Shared::default();
        let (given, other) = ("web".to_owned(), shared.share(&"db".to_owned()));
        let (first, second) = (shared.share(&given), shared.share(&given));
        assert!(Arc::ptr_eq(&first, &second) && !Arc::ptr_eq(&first, &other));
        shared.release(&first);
        drop(first);
        assert_eq!(shared.values.len(), 2);
        shared.release(&second);
        assert_eq!(shared.values, HashSet::from([other]));
    }
}
