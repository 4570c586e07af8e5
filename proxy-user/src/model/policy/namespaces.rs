//! The Namespaces that Pods are in.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use super::index::NAMESPACE_NAME;
use super::{Defect, Namespaces};
use crate::model::{Kind, Namespace, ObjectRef};

/// Every Namespace whose object is known.
#[derive(Default, Debug)]
pub(super) struct NamespaceTable {
    by_name: HashMap<String, Namespace>,
}

impl NamespaceTable {
    /// Puts what is known of a Namespace in the place of what was, which is returned.
    pub(super) fn set(&mut self, name: &str, namespace: Option<Namespace>) -> Option<Namespace> {
        match namespace {
            Some(namespace) => self.by_name.insert(name.to_owned(), namespace),
            None => self.by_name.remove(name),
        }
    }

    pub(super) fn get(&self, name: &str) -> Option<&Namespace> {
        self.by_name.get(name)
    }

    /// Its labels. One without an object has the label that the API server gives each.
    pub(super) fn labels(&self, name: &str) -> Cow<'_, BTreeMap<String, String>> {
        self.by_name.get(name).map_or_else(
            || Cow::Owned(BTreeMap::from([(NAMESPACE_NAME.to_owned(), name.to_owned())])),
            |namespace| Cow::Borrowed(&namespace.labels),
        )
    }

    /// Whether it is one of `namespaces`.
    pub(super) fn is_of(&self, name: &str, namespaces: &Namespaces) -> bool {
        namespaces.holds(name, &self.labels(name))
    }

    pub(super) fn defects(&self) -> impl Iterator<Item = Defect<'_>> {
        let by_name: BTreeMap<_, _> = self.by_name.iter().collect();
        by_name.into_iter().flat_map(|(name, namespace)| {
            let object = ObjectRef { kind: Kind::Namespace, namespace: String::new(), name: name.clone() };
            namespace.defects.iter().map(move |text| Defect { object: object.clone(), text })
        })
    }
}
