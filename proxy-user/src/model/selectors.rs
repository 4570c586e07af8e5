//! Which Services a Pod's labels can matter to, without asking every Service of the cluster.

use std::collections::{BTreeSet, HashMap};

use super::{Pod, Service, ServiceRef};

/// A label of one namespace.
type Label = (String, String, String);

/// Services by namespace and one label of their selector: a Pod can be selected only by those whose label it has.
#[derive(Default, Debug)]
pub(super) struct Selectors {
    by_label: HashMap<Label, BTreeSet<ServiceRef>>,
    /// Service -> the label it stands under.
    label_of: HashMap<ServiceRef, Label>,
}

impl Selectors {
    /// Notes the selector of `service`, under the label that fewest others stand under: one that all of an application's
    /// Services share would lead to all of them.
    pub(super) fn add(&mut self, service: &Service) {
        let namespace = &service.id.namespace;
        let labels = service.selector.iter().map(|(key, value)| (namespace.clone(), key.clone(), value.clone()));
        let Some(label) = labels.min_by_key(|label| self.by_label.get(label).map_or(0, BTreeSet::len)) else { return };
        self.by_label.entry(label.clone()).or_default().insert(service.id.clone());
        self.label_of.insert(service.id.clone(), label);
    }

    /// Forgets the selector of `service`.
    pub(super) fn remove(&mut self, service: &ServiceRef) {
        let Some(label) = self.label_of.remove(service) else { return };
        let Some(services) = self.by_label.get_mut(&label) else { return };
        services.remove(service);
        if services.is_empty() {
            self.by_label.remove(&label);
        }
    }

    /// Services whose selector may match `pod`; the rest of each selector is for the caller to check.
    pub(super) fn candidates<'a>(&'a self, pod: &'a Pod) -> impl Iterator<Item = &'a ServiceRef> {
        pod.labels
            .iter()
            .filter_map(|(key, value)| self.by_label.get(&(pod.namespace.clone(), key.clone(), value.clone())))
            .flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::fixtures::{labels, pod, service};

    #[test]
    fn a_label_that_all_services_share_leads_to_few_of_them() {
        let mut selectors = Selectors::default();
        for number in 0..100 {
            let app = format!("s{number}");
            let selector = labels(&[("app", app.as_str()), ("part-of", "shop")]);
            selectors.add(&Service { selector, ..service(&app, &[]) });
        }
        let pod = Pod { labels: labels(&[("app", "s7"), ("part-of", "shop")]).into(), ..pod("s7", "s7", &[]) };
        let candidates: Vec<_> = selectors.candidates(&pod).map(|it| it.name.clone()).collect();
        assert!(candidates.contains(&"s7".to_owned()) && candidates.len() <= 2, "{candidates:?}");
        for number in 0..100 {
            selectors.remove(&ServiceRef::new("default", format!("s{number}")));
        }
        assert!(selectors.by_label.is_empty() && selectors.label_of.is_empty());
    }
}
