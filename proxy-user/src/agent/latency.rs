//! How long endpoints' changes take from where they come about to the kernel: `network_programming_duration_seconds`,
//! by the time that the EndpointSlice controller notes in its objects (8.26 of kube-proxy's rules).

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use proxy_common::addr::Family;

use crate::model::{Change, Kind, Object, ServiceRef};
use crate::serve::Metrics;

/// What a change says about when it came about.
#[derive(Clone, Copy, Debug)]
pub(super) enum Trigger {
    /// Endpoints of this family changed then.
    At(Family, Timestamp),
    /// A slice went; nobody says when.
    SliceGone,
    /// It isn't about a slice, or the slice doesn't say.
    Unknown,
}

impl From<&Change> for Trigger {
    fn from(change: &Change) -> Self {
        match change {
            Change::Apply(Object::EndpointSlice(slice)) => match (slice.family, slice.last_change) {
                (Some(family), Some(at)) => Self::At(family, at),
                _ => Self::Unknown,
            },
            Change::Delete(object) if object.kind == Kind::EndpointSlice => Self::SliceGone,
            Change::Apply(_) | Change::Delete(_) => Self::Unknown,
        }
    }
}

/// Changes of endpoints that the kernel doesn't have yet, with their times.
#[derive(Debug)]
pub(super) struct Latency {
    started: Timestamp,
    waiting: BTreeMap<ServiceRef, Vec<(Family, Timestamp)>>,
}

impl Latency {
    pub(super) fn new() -> Self {
        Self { started: Timestamp::now(), waiting: BTreeMap::new() }
    }

    /// A change touches `affected`. What came about before this process began is no measure of it. When a slice goes, the
    /// times of its Service are forgotten, as in kube-proxy: nobody says when that came about.
    pub(super) fn changed(&mut self, trigger: Trigger, affected: &BTreeSet<ServiceRef>) {
        for service in affected {
            match trigger {
                Trigger::At(family, at) if at > self.started => {
                    self.waiting.entry(service.clone()).or_default().push((family, at));
                }
                Trigger::SliceGone => drop(self.waiting.remove(service)),
                Trigger::At(..) | Trigger::Unknown => {}
            }
        }
    }

    /// The kernel has every change.
    pub(super) fn applied(&mut self, metrics: &Metrics) {
        for (family, at) in std::mem::take(&mut self.waiting).into_values().flatten() {
            metrics.network_programmed(family, Timestamp::now().duration_since(at));
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;
    use crate::config::Settings;
    use crate::model::fixtures::slice;
    use crate::model::{EndpointSlice, ObjectRef};

    fn metrics() -> Metrics {
        let settings = Settings { manifests: Some("/m".into()), ..Settings::default() };
        Metrics::new(&settings.resolve().unwrap())
    }

    fn observed(metrics: &Metrics, family: &str) -> String {
        let name = format!("kubeproxy_network_programming_duration_seconds_count{{ip_family=\"{family}\"}} ");
        let text = metrics.encode();
        text.lines().find_map(|line| line.strip_prefix(&name)).unwrap_or("0").to_owned()
    }

    fn told(family: Option<Family>, last_change: Option<Timestamp>) -> Change {
        Change::Apply(Object::EndpointSlice(EndpointSlice { family, last_change, ..slice("web-1", "web", &[]) }))
    }

    #[test]
    fn each_changed_slice_is_observed_once_in_its_family_when_the_kernel_has_it() {
        let (metrics, web) = (metrics(), BTreeSet::from([ServiceRef::new("default", "web")]));
        let mut latency = Latency::new();
        let later = Timestamp::now() + SignedDuration::from_millis(1);
        for change in [told(Some(Family::V4), Some(later)), told(Some(Family::V6), Some(later))] {
            latency.changed(Trigger::from(&change), &web);
        }
        assert_eq!(observed(&metrics, "IPv4"), "0", "not before the kernel has it");
        latency.applied(&metrics);
        latency.applied(&metrics);
        assert_eq!((observed(&metrics, "IPv4"), observed(&metrics, "IPv6")), ("1".into(), "1".into()));
    }

    #[test]
    fn what_is_older_than_the_agent_unknown_or_of_a_slice_that_went_is_not_observed() {
        let (metrics, web) = (metrics(), BTreeSet::from([ServiceRef::new("default", "web")]));
        let mut latency = Latency::new();
        let later = Timestamp::now() + SignedDuration::from_millis(1);
        let gone =
            Change::Delete(ObjectRef { kind: Kind::EndpointSlice, namespace: "default".into(), name: "web-1".into() });
        for change in [
            told(Some(Family::V4), Some(later)),
            gone,
            told(Some(Family::V4), Some(Timestamp::UNIX_EPOCH)),
            told(Some(Family::V4), None),
            told(None, Some(later)),
        ] {
            latency.changed(Trigger::from(&change), &web);
        }
        latency.applied(&metrics);
        assert_eq!(observed(&metrics, "IPv4"), "0");
    }
}
