//! The Pods, found by their labels without asking every Pod of a namespace.

use std::collections::{BTreeSet, HashMap};

use super::{Pod, Service};

/// Namespace and name of a Pod.
type PodName = (String, String);
/// A label of one namespace.
type Label = (String, String, String);

/// Every Pod, and which of them have a label.
#[derive(Default, Debug)]
pub(super) struct Pods {
    by_name: HashMap<PodName, Pod>,
    by_label: HashMap<Label, BTreeSet<String>>,
}

impl Pods {
    /// The Pod `name` of `namespace`.
    pub(super) fn get(&self, namespace: &str, name: &str) -> Option<&Pod> {
        self.by_name.get(&(namespace.to_owned(), name.to_owned()))
    }

    /// Puts a Pod in the place of the one of its name, which is returned.
    pub(super) fn insert(&mut self, pod: Pod) -> Option<Pod> {
        let old = self.remove(&pod.namespace, &pod.name);
        for label in labels(&pod) {
            self.by_label.entry(label).or_default().insert(pod.name.clone());
        }
        self.by_name.insert((pod.namespace.clone(), pod.name.clone()), pod);
        old
    }

    /// Forgets a Pod.
    pub(super) fn remove(&mut self, namespace: &str, name: &str) -> Option<Pod> {
        let pod = self.by_name.remove(&(namespace.to_owned(), name.to_owned()))?;
        for label in labels(&pod) {
            let Some(names) = self.by_label.get_mut(&label) else { continue };
            names.remove(name);
            if names.is_empty() {
                self.by_label.remove(&label);
            }
        }
        Some(pod)
    }

    /// The Pods that the selector of `service` selects, by name: looked for among those with the rarest of its labels.
    pub(super) fn selected_by<'a>(&'a self, service: &'a Service) -> impl Iterator<Item = &'a Pod> {
        let namespace = &service.id.namespace;
        let with_label = |(key, value): (&String, &String)| {
            self.by_label.get(&(namespace.clone(), key.clone(), value.clone())).ok_or(())
        };
        // A label that no Pod has is the rarest.
        let sets: Result<Vec<_>, ()> = service.selector.iter().map(with_label).collect();
        let rarest = sets.ok().and_then(|sets| sets.into_iter().min_by_key(|names| names.len()));
        let candidates = rarest.into_iter().flatten().filter_map(|name| self.get(namespace, name));
        candidates.filter(|pod| pod.is_selected_by(&service.selector))
    }
}

fn labels(pod: &Pod) -> impl Iterator<Item = Label> {
    pod.labels.iter().map(|(key, value)| (pod.namespace.clone(), key.clone(), value.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::fixtures::{labels, pod, service};

    fn names(pods: &Pods, selector: &[(&str, &str)]) -> Vec<String> {
        let service = Service { selector: labels(selector), ..service("web", &[]) };
        pods.selected_by(&service).map(|pod| pod.name.clone()).collect()
    }

    #[test]
    fn pods_are_found_by_all_labels_of_a_selector_as_they_are_now() {
        let labelled = |name, pairs: &[(&str, &str)]| Pod { labels: labels(pairs).into(), ..pod(name, "", &[]) };
        let mut pods = Pods::default();
        pods.insert(labelled("b", &[("app", "web"), ("tier", "front")]));
        pods.insert(labelled("a", &[("app", "web"), ("tier", "back")]));
        pods.insert(Pod { namespace: "other".into(), ..labelled("c", &[("app", "web")]) });
        assert_eq!(names(&pods, &[("app", "web")]), ["a", "b"]);
        assert_eq!(names(&pods, &[("app", "web"), ("tier", "front")]), ["b"]);
        assert!(names(&pods, &[("app", "web"), ("tier", "none")]).is_empty());
        assert!(names(&pods, &[]).is_empty(), "no selector selects no Pod");
        pods.insert(labelled("b", &[("app", "db")]));
        assert_eq!(names(&pods, &[("app", "web")]), ["a"]);
        pods.remove("default", "a");
        assert!(names(&pods, &[("app", "web")]).is_empty());
        assert_eq!(pods.by_label.len(), 2, "labels that no Pod has are forgotten: {:?}", pods.by_label);
    }
}
