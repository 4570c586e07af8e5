//! Which Services a Pod's labels can matter to, without asking every Service of the cluster.

use std::collections::{BTreeSet, HashMap};

use super::{Pod, Service, ServiceRef};

/// A label of one namespace.
type Label = (String, String, String);

/// Services by namespace and one label of their selector: a Pod can be selected only by those whose label it has.
#[derive(Default, Debug)]
pub(super) struct Selectors {
    by_label: HashMap<Label, BTreeSet<ServiceRef>>,
}

impl Selectors {
    /// Notes the selector of `service`.
    pub(super) fn add(&mut self, service: &Service) {
        if let Some(label) = indexed_label(service) {
            self.by_label.entry(label).or_default().insert(service.id.clone());
        }
    }

    /// Forgets the selector of `service`.
    pub(super) fn remove(&mut self, service: &Service) {
        let Some(label) = indexed_label(service) else { return };
        let Some(services) = self.by_label.get_mut(&label) else { return };
        services.remove(&service.id);
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

/// One label of the selector, whichever; always the same for the same Service.
fn indexed_label(service: &Service) -> Option<Label> {
    let (key, value) = service.selector.last_key_value()?;
    Some((service.id.namespace.clone(), key.clone(), value.clone()))
}
