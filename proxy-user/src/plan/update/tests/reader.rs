//! A reader of the tables, as the kernel programs are: frontend, then any slot below its count.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnetwork::IpNetwork;
use proxy_common::addr::Addr;
use proxy_common::tables::{
    Address, Backend, BackendKey, EndpointSet, Member, MemberKey, Service, ServiceKey, SourceRange, address_flags,
    service_flags,
};

use crate::plan::{Image, SourcePrefix, Write};

const SETS: [EndpointSet; 2] = [EndpointSet::Cluster, EndpointSet::Local];

/// What readers can tell of the tables: the numbers of Service ports, the order of slots and the
/// generations of affinity left out.
#[derive(PartialEq, Debug)]
pub(super) struct View {
    frontends: BTreeMap<ServiceKey, Frontend>,
    members: BTreeMap<(String, MemberKey), Member>,
    addresses: BTreeMap<Addr, Address>,
    source_ranges: BTreeSet<(String, SourcePrefix)>,
    names: BTreeSet<String>,
    backends: usize,
}

#[derive(PartialEq, Debug)]
struct Frontend {
    name: String,
    flags: u32,
    affinity_timeout: u32,
    sets: [BTreeSet<Backend>; 2],
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
                    let sets = SETS.map(|set| reach(image, service, set));
                    let Service { id, flags, affinity_timeout, .. } = *service;
                    (*key, Frontend { name: name(id), flags, affinity_timeout, sets })
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

/// Ranges that the tests use, with an address in each and one in none.
pub(super) const RANGES: [&str; 3] = ["192.0.2.0/24", "192.0.2.9/32", "198.51.100.0/24"];
const SOURCES: [&str; 4] = ["192.0.2.1", "192.0.2.9", "198.51.100.1", "203.0.113.9"];

/// Whether a client at `source` may use a Service port with these flags, by the ranges of the number `id`.
fn admits(image: &Image, service: &Service, source: IpAddr) -> bool {
    let holds = |range: &str| {
        let network: IpNetwork = range.parse().unwrap();
        network.contains(source) && image.source_ranges.contains(&SourcePrefix::new(service.id, network))
    };
    service.flags & service_flags::SOURCE_RANGES == 0 || RANGES.iter().any(|range| holds(range))
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
        let step = format!("after write {step} of {writes:?}");
        for key in before.services.keys().chain(after.services.keys()) {
            check_endpoints(before, &now, &after, key, &step);
            check_sources(before, &now, &after, key, &step);
            check_address(before, &now, &after, key, &step);
            let stays = before.services.contains_key(key) && after.services.contains_key(key);
            assert!(!stays || now.services.contains_key(key), "{key:?} is gone {step}");
        }
        check_members(&now, &step);
    }
    now
}

fn check_endpoints(before: &Image, now: &Image, after: &Image, key: &ServiceKey, step: &str) {
    // A frontend on its way out may still lead to what its Service port has become.
    let port = now.services.get(key).map(|service| service.id);
    let becomes = after.services.values().filter(|it| Some(it.id) == port);
    for set in SETS {
        let (old, seen, new) = (reach_of(before, key, set), reach_of(now, key, set), reach_of(after, key, set));
        let becomes: BTreeSet<Backend> = becomes.clone().flat_map(|it| reach(after, it, set)).collect();
        let known = |it: &Backend| old.contains(it) || new.contains(it) || becomes.contains(it);
        assert!(seen.iter().all(known), "{key:?} {set:?}: a stranger {step}");
        assert!(old.is_empty() || new.is_empty() || !seen.is_empty(), "{key:?} {set:?}: nobody there {step}");
    }
}

fn check_sources(before: &Image, now: &Image, after: &Image, key: &ServiceKey, step: &str) {
    let (Some(old), Some(seen), Some(new)) = (before.services.get(key), now.services.get(key), after.services.get(key))
    else {
        return;
    };
    for source in SOURCES.map(|text| text.parse().unwrap()) {
        let (was, is, will) = (admits(before, old, source), admits(now, seen, source), admits(after, new, source));
        // One that moves is for that moment open to whom the Service port it is at was and will be open to.
        let of_port = is && (admits(before, seen, source) || admits(after, seen, source));
        assert!(is == was || is == will || of_port, "{key:?}: {source} is let in: {is} {step}");
    }
}

fn check_address(before: &Image, now: &Image, after: &Image, key: &ServiceKey, step: &str) {
    if after.services.get(key).is_none_or(|service| service.flags & service_flags::NODE_PORT != 0) {
        return;
    }
    let is = |image: &Image, flag| image.addresses.get(&key.addr).is_some_and(|address| address.is(flag));
    let known = before.services.contains_key(key) && is(before, address_flags::FRONTEND);
    assert!(!known || is(now, address_flags::FRONTEND), "{key:?} is no longer looked up {step}");
    let becomes_cluster_ip = !is(before, address_flags::CLUSTER_IP) && is(now, address_flags::CLUSTER_IP);
    assert!(!becomes_cluster_ip || now.services.contains_key(key), "{key:?} is refused before it is there {step}");
}

fn check_members(now: &Image, step: &str) {
    for service in now.services.values() {
        for set in SETS {
            for backend in reach(now, service, set) {
                let member = now.members.get(&MemberKey::new(service.id, backend.addr, backend.port));
                assert!(
                    member.is_some_and(|it| it.is_in(set)),
                    "{backend:?} is served but no member of {set:?} {step}"
                );
            }
        }
    }
}
