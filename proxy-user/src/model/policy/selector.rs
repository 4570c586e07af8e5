//! Label selectors.

use std::collections::{BTreeMap, BTreeSet};

/// Which objects, by their labels: those that meet every requirement. Without any, all of them.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Selector {
    /// What each must meet.
    pub requirements: BTreeSet<Requirement>,
}

/// A requirement. `matchLabels` are those of the kind `In` with one value.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Requirement {
    /// The label is there, with one of these values.
    In(String, BTreeSet<String>),
    /// The label isn't there, or has none of these values.
    NotIn(String, BTreeSet<String>),
    /// The label is there.
    Exists(String),
    /// The label isn't there.
    DoesNotExist(String),
}

impl Selector {
    /// Whether it selects what has these labels.
    #[must_use]
    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        self.requirements.iter().all(|requirement| requirement.is_met_by(labels))
    }

    /// A label that whatever it selects has, and the values of which it has one: where there are several, the one of the
    /// fewest values.
    pub(super) fn required_label(&self) -> Option<(&str, &BTreeSet<String>)> {
        let required = self.requirements.iter().filter_map(|requirement| match requirement {
            Requirement::In(key, values) => Some((key.as_str(), values)),
            _ => None,
        });
        required.min_by_key(|(_, values)| values.len())
    }
}

impl Requirement {
    fn is_met_by(&self, labels: &BTreeMap<String, String>) -> bool {
        match self {
            Self::In(key, values) => labels.get(key).is_some_and(|value| values.contains(value)),
            Self::NotIn(key, values) => labels.get(key).is_none_or(|value| !values.contains(value)),
            Self::Exists(key) => labels.contains_key(key),
            Self::DoesNotExist(key) => !labels.contains_key(key),
        }
    }
}
