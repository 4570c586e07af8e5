//! What becomes of a cluster.

use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;

use super::{Generator, NAMESPACES};
use crate::policy::case::{Change, Object, Objects};
use crate::policy::reference::addresses;

impl Generator {
    /// The next change.
    pub(super) fn change(&mut self, objects: &Objects) -> Change {
        match self.rng.u32(0..100) {
            0..20 => Change::Apply(Object::Pod(self.pod(objects))),
            20..45 if !objects.pods.is_empty() => {
                let pod = self.one_of(&objects.pods);
                self.pods_change(pod, objects)
            }
            45..60 => {
                let name = self.one_of(&NAMESPACES);
                let namespace = Object::Namespace(self.namespace(name));
                if self.chance(85) { Change::Apply(namespace) } else { Change::Delete(namespace) }
            }
            60..72 if !objects.policies.is_empty() => {
                Change::Delete(Object::NetworkPolicy(self.one_of(&objects.policies)))
            }
            72..86 if !objects.policies.is_empty() => {
                let mut policy = self.network_policy(objects);
                policy.metadata = self.one_of(&objects.policies).metadata;
                Change::Apply(Object::NetworkPolicy(policy))
            }
            _ => Change::Apply(Object::NetworkPolicy(self.network_policy(objects))),
        }
    }

    /// It goes, is told to go, has finished, has other labels, or is another of the same name.
    fn pods_change(&mut self, mut pod: Pod, objects: &Objects) -> Change {
        match self.rng.u32(0..100) {
            0..30 => return Change::Delete(Object::Pod(pod)),
            30..40 => pod.status.get_or_insert_default().phase = Some("Succeeded".to_owned()),
            // Of two that have been told to go, neither has a better claim on an address that both have.
            40..50 if !is_shared(&pod, objects) => pod.metadata.deletion_timestamp = Some(Time(Timestamp::UNIX_EPOCH)),
            50..85 => pod.metadata.labels = Some(self.pod_labels()),
            _ => {
                let mut another = self.pod(objects);
                another.metadata.name = pod.metadata.name;
                another.metadata.namespace = pod.metadata.namespace;
                pod = another;
            }
        }
        Change::Apply(Object::Pod(pod))
    }
}

/// Whether another pod has an address of this one.
fn is_shared(pod: &Pod, objects: &Objects) -> bool {
    let others = objects.pods.iter().filter(|other| other.metadata != pod.metadata);
    others.flat_map(addresses).any(|ip| addresses(pod).contains(&ip))
}
