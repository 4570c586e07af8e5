//! Selectors, found by the labels of what they may select: a hundred thousand Pods and ten thousand selectors are no
//! product.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{Namespaces, Requirement, Selector};

/// The label that every Namespace has, with its name.
pub(super) const NAMESPACE_NAME: &str = "kubernetes.io/metadata.name";

/// What a Pod must have for a selector to be looked at. `None` for a namespace is any.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
enum Anchor {
    Label(Option<String>, String, String),
    Namespace(Option<String>),
    NamespaceLabel(String, String),
}

/// Selectors of Pods, each under what it requires.
#[derive(Debug)]
pub(super) struct SelectorIndex<Id> {
    by_anchor: HashMap<Anchor, BTreeSet<Id>>,
}

impl<Id> Default for SelectorIndex<Id> {
    fn default() -> Self {
        Self { by_anchor: HashMap::new() }
    }
}

impl<Id: Ord + Clone> SelectorIndex<Id> {
    pub(super) fn insert(&mut self, id: &Id, namespaces: &Namespaces, pods: &Selector) {
        for anchor in anchors(namespaces, pods) {
            self.by_anchor.entry(anchor).or_default().insert(id.clone());
        }
    }

    pub(super) fn remove(&mut self, id: &Id, namespaces: &Namespaces, pods: &Selector) {
        for anchor in anchors(namespaces, pods) {
            let Some(ids) = self.by_anchor.get_mut(&anchor) else { continue };
            ids.remove(id);
            if ids.is_empty() {
                self.by_anchor.remove(&anchor);
            }
        }
    }

    /// The selectors that may select a Pod of these labels, in a namespace of this name and these labels.
    pub(super) fn candidates<'a>(
        &'a self,
        namespace: &str,
        namespace_labels: &BTreeMap<String, String>,
        labels: &BTreeMap<String, String>,
    ) -> BTreeSet<&'a Id> {
        let here = || Some(namespace.to_owned());
        let by_label = labels.iter().flat_map(|(key, value)| {
            [here(), None].map(|namespace| Anchor::Label(namespace, key.clone(), value.clone()))
        });
        let by_namespace = [Anchor::Namespace(here()), Anchor::Namespace(None)];
        let by_namespace_label =
            namespace_labels.iter().map(|(key, value)| Anchor::NamespaceLabel(key.clone(), value.clone()));
        let anchors = by_label.chain(by_namespace).chain(by_namespace_label);
        anchors.filter_map(|anchor| self.by_anchor.get(&anchor)).flatten().collect()
    }
}

/// Where a selector stands: whatever it selects has one of these.
fn anchors(namespaces: &Namespaces, pods: &Selector) -> Vec<Anchor> {
    let named = named(namespaces);
    if let Some((key, values)) = pods.required_label() {
        let anchors = |namespace: Option<String>| {
            values.iter().map(move |value| Anchor::Label(namespace.clone(), key.to_owned(), value.clone()))
        };
        return named.into_iter().flat_map(anchors).collect();
    }
    match namespaces {
        Namespaces::Matching(selector) if named == [None] => match selector.required_label() {
            Some((key, values)) => {
                values.iter().map(|value| Anchor::NamespaceLabel(key.to_owned(), value.clone())).collect()
            }
            None => vec![Anchor::Namespace(None)],
        },
        _ => named.into_iter().map(Anchor::Namespace).collect(),
    }
}

/// The names that the namespaces must have; `None` is any.
fn named(namespaces: &Namespaces) -> Vec<Option<String>> {
    match namespaces {
        Namespaces::Named(name) => vec![Some(name.clone())],
        Namespaces::Matching(selector) => {
            let names = selector.requirements.iter().find_map(|requirement| match requirement {
                Requirement::In(key, names) if key == NAMESPACE_NAME => Some(names),
                _ => None,
            });
            names.map_or_else(|| vec![None], |names| names.iter().cloned().map(Some).collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::fixtures::labels;

    fn is(key: &str, values: &[&str]) -> Requirement {
        Requirement::In(key.into(), values.iter().map(|value| (*value).to_owned()).collect())
    }

    fn selector(requirements: &[Requirement]) -> Selector {
        Selector { requirements: requirements.iter().cloned().collect() }
    }

    #[test]
    fn only_selectors_that_may_select_are_looked_at() {
        let own = || Namespaces::Named("default".into());
        let any = || Namespaces::Matching(Selector::default());
        let team = || Namespaces::Matching(selector(&[is("team", &["a"])]));
        let by_name = || Namespaces::Matching(selector(&[is(NAMESPACE_NAME, &["default", "other"])]));
        let selectors = [
            (own(), selector(&[is("app", &["web", "db"])]), true),
            (own(), selector(&[is("app", &["db"])]), false),
            (Namespaces::Named("other".into()), selector(&[is("app", &["web"])]), false),
            (any(), selector(&[is("app", &["web"])]), true),
            (by_name(), selector(&[is("app", &["web"])]), true),
            (by_name(), Selector::default(), true),
            (any(), selector(&[Requirement::Exists("app".into())]), true),
            (team(), Selector::default(), true),
            (Namespaces::Matching(selector(&[is("team", &["b"])])), Selector::default(), false),
            (own(), selector(&[is("app", &[])]), false),
        ];
        let mut index = SelectorIndex::default();
        for (id, (namespaces, pods, _)) in selectors.iter().enumerate() {
            index.insert(&id, namespaces, pods);
        }
        let found = index.candidates("default", &labels(&[("team", "a")]), &labels(&[("app", "web")]));
        let expected = selectors.iter().enumerate().filter(|(_, (.., expected))| *expected).map(|(id, _)| id);
        assert!(found.into_iter().copied().eq(expected));
        for (id, (namespaces, pods, _)) in selectors.iter().enumerate() {
            index.remove(&id, namespaces, pods);
        }
        assert!(index.by_anchor.is_empty());
    }
}
