//! A reader of the tables, as the kernel programs are: frontend, then any slot below its count.

use std::collections::{BTreeMap, BTreeSet};

use proxy_common::addr::Addr;
use proxy_common::tables::{
    Address, Backend, BackendKey, EndpointSet, Member, MemberKey, Service, ServiceKey, SourceRange,
};

use crate::plan::{Image, SourcePrefix, Write};

const SETS: [EndpointSet; 2] = [EndpointSet::Cluster, EndpointSet::Local];

/// What readers can tell of the tables: the numbers of Service ports and the order of slots left out.
#[derive(PartialEq, Debug)]
pub(super) struct View {
    frontends: BTreeMap<ServiceKey, (String, u32, [BTreeSet<Backend>; 2])>,
    members: BTreeMap<(String, MemberKey), Member>,
    addresses: BTreeMap<Addr, Address>,
    source_ranges: BTreeSet<(String, SourcePrefix)>,
    names: BTreeSet<String>,
    backends: usize,
}

impl View {
    pub(super) fn of(image: &Image) -> Self {
        let name = |id: u32| format!("{:?}", image.names.get(&id));
        let anonymous = |key: &MemberKey| MemberKey::new(0, key.addr, key.port);
        Self {
            frontends: image
                .services
                .iter()
                .map(|(key, service)| {
                    (*key, (name(service.id), service.flags, SETS.map(|set| reach(image, service, set))))
                })
                .collect(),
            members: image.members.iter().map(|(key, member)| ((name(key.service), anonymous(key)), *member)).collect(),
            addresses: image.addresses.clone(),
            source_ranges: image
                .source_ranges
                .iter()
                .map(|key| {
                    let range = SourceRange { service: 0, ..key.range };
                    (name(key.range.service), SourcePrefix { range, ..*key })
                })
                .collect(),
            names: image.names.keys().map(|id| name(*id)).collect(),
            backends: image.backends.len(),
        }
    }
}

/// The endpoints a reader of `service` can be led to. Fails at an empty slot.
fn reach(image: &Image, service: &Service, set: EndpointSet) -> BTreeSet<Backend> {
    let slot = |slot| {
        let found = image.backends.get(&BackendKey::new(service.id, set, slot));
        *found.unwrap_or_else(|| panic!("slot {slot} of {set:?} is empty though {service:?} counts it"))
    };
    (0..count(service, set)).map(slot).collect()
}

fn count(service: &Service, set: EndpointSet) -> u32 {
    match set {
        EndpointSet::Cluster => service.cluster,
        EndpointSet::Local => service.local,
    }
}

fn reach_of(image: &Image, key: &ServiceKey, set: EndpointSet) -> BTreeSet<Backend> {
    image.services.get(key).map(|service| reach(image, service, set)).unwrap_or_default()
}

/// Carries the writes out one by one with a reader after each; returns the last state.
pub(super) fn check_every_step(before: &Image, writes: &[Write]) -> Image {
    let mut after = before.clone();
    for write in writes {
        after.apply(write);
    }
    let mut now = before.clone();
    for (step, write) in writes.iter().enumerate() {
        now.apply(write);
        for key in before.services.keys().chain(after.services.keys()) {
            for set in SETS {
                let (old, new) = (reach_of(before, key, set), reach_of(&after, key, set));
                let seen = reach_of(&now, key, set);
                // A frontend on its way out may still lead to what its Service port has become.
                let port = now.services.get(key).map(|service| service.id);
                let becomes: BTreeSet<Backend> = after
                    .services
                    .values()
                    .filter(|it| Some(it.id) == port)
                    .flat_map(|it| reach(&after, it, set))
                    .collect();
                let step = format!("{key:?} {set:?} after write {step} of {writes:?}");
                assert!(
                    seen.iter().all(|it| old.contains(it) || new.contains(it) || becomes.contains(it)),
                    "a stranger: {step}"
                );
                assert!(old.is_empty() || new.is_empty() || !seen.is_empty(), "nobody there: {step}");
            }
            let stays = before.services.contains_key(key) && after.services.contains_key(key);
            assert!(!stays || now.services.contains_key(key), "{key:?} is gone after write {step} of {writes:?}");
        }
        for service in now.services.values() {
            for backend in SETS.iter().flat_map(|set| reach(&now, service, *set)) {
                let member = MemberKey::new(service.id, backend.addr, backend.port);
                assert!(now.members.contains_key(&member), "{backend:?} is served but no member after {write:?}");
            }
        }
    }
    now
}
