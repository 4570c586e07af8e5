//! One Service port in the tables.

use std::collections::BTreeSet;

use proxy_common::addr::{Addr, Port};
use proxy_common::tables::{EndpointSet, Member, MemberKey, Service, ServiceKey, SourceRange, member_flags};

use super::affinity::Affinity;
use super::journal::Journal;
use super::limits::Growth;
use super::slots::Slots;
use super::{Desired, Image, SourcePrefix, Write};

/// What the tables hold of one Service port, but for its endpoints, which the image has.
#[derive(Debug)]
pub(super) struct PlannedPort {
    /// Its number.
    pub(super) id: u32,
    frontends: BTreeSet<ServiceKey>,
    cluster: Slots,
    local: Slots,
    affinity: Affinity,
    source_ranges: BTreeSet<SourcePrefix>,
}

impl PlannedPort {
    /// A Service port that has nothing in the tables.
    pub(super) fn new(id: u32) -> Self {
        Self::adopt(&Image::default(), id, BTreeSet::new())
    }

    /// What `image` holds of the number `id`, `frontends` among it.
    pub(super) fn adopt(image: &Image, id: u32, frontends: BTreeSet<ServiceKey>) -> Self {
        let first_range = SourcePrefix { range: SourceRange { service: id, ..SourceRange::default() }, bits: 0 };
        let source_ranges = image.source_ranges.range(first_range..).take_while(|it| it.range.service == id);
        let services = frontends.iter().filter_map(|key| image.services.get(key));
        Self {
            id,
            affinity: Affinity::adopt(services),
            source_ranges: source_ranges.copied().collect(),
            frontends,
            cluster: Slots::adopt(image, id, EndpointSet::Cluster),
            local: Slots::adopt(image, id, EndpointSet::Local),
        }
    }

    /// Slots held in the set numbered `set`.
    pub(super) fn slots(&self, set: u32) -> usize {
        [&self.cluster, &self.local].into_iter().find(|slots| slots.key(0).set == set).map_or(0, Slots::len)
    }

    /// Entries that `desired` adds before it takes others away; the name not counted.
    pub(super) fn growth(&self, image: &Image, desired: &Desired) -> Growth {
        let slots = |slots: &Slots, wanted: &[_]| wanted.len().saturating_sub(slots.len());
        Growth {
            services: desired.frontends.keys().filter(|key| !image.services.contains_key(key)).count(),
            backends: slots(&self.cluster, &desired.cluster) + slots(&self.local, &desired.local),
            members: desired.members.len() - self.members(image).filter(|(key, _)| desired.has_member(key)).count(),
            names: 0,
            source_ranges: prefixes(self.id, desired).filter(|prefix| !self.source_ranges.contains(prefix)).count(),
        }
    }

    fn members<'a>(&self, image: &'a Image) -> impl Iterator<Item = (&'a MemberKey, &'a Member)> + use<'a> {
        let service = self.id;
        let first = MemberKey::new(service, Addr::UNSPECIFIED, Port::new(0));
        image.members.range(first..).take_while(move |(key, _)| key.service == service)
    }

    /// First half of making the tables hold `desired`: members, slots and source ranges, then the frontends with their
    /// counts, so that everything a reader can be led to is there before it is led there.
    pub(super) fn put(&mut self, desired: &Desired, journal: &mut Journal) {
        // A member leaves a set after the frontends' counts are without it, in the second half.
        self.put_members(desired, journal, |held, wanted| Member {
            flags: wanted.flags | held.flags & (member_flags::CLUSTER | member_flags::LOCAL),
        });
        for (slots, wanted) in [(&mut self.cluster, &desired.cluster), (&mut self.local, &desired.local)] {
            for (key, backend) in slots.place(journal.image(), wanted) {
                journal.push(Write::PutBackend(key, backend));
            }
        }
        for prefix in prefixes(self.id, desired) {
            if self.source_ranges.insert(prefix) {
                journal.push(Write::PutSourceRange(prefix));
            }
        }
        self.affinity = self.affinity.with_timeout(desired.affinity_timeout);
        for (key, flags) in &desired.frontends {
            let service = Service {
                id: self.id,
                cluster: desired.cluster.len() as u32,
                local: desired.local.len() as u32,
                flags: *flags,
                affinity_timeout: self.affinity.timeout,
                affinity_generation: self.affinity.generation,
            };
            self.frontends.insert(*key);
            if journal.image().services.get(key) != Some(&service) {
                journal.push(Write::PutService(*key, service));
            }
        }
    }

    /// Second half: what is left over goes, in the order in which readers come by it.
    pub(super) fn trim(&mut self, desired: &Desired, journal: &mut Journal) {
        for key in self.frontends.extract_if(.., |key| !desired.frontends.contains_key(key)) {
            // A frontend that another Service port has taken over meanwhile is that one's to delete.
            if journal.image().services.get(&key).is_some_and(|service| service.id == self.id) {
                journal.push(Write::DeleteService(key));
            }
        }
        let slots = self.cluster.truncate(desired.cluster.len());
        for key in slots.chain(self.local.truncate(desired.local.len())) {
            journal.push(Write::DeleteBackend(key));
        }
        self.put_members(desired, journal, |_, wanted| wanted);
        self.retain_members(desired, journal);
        let wanted: BTreeSet<_> = prefixes(self.id, desired).collect();
        for prefix in self.source_ranges.extract_if(.., |prefix| !wanted.contains(prefix)) {
            journal.push(Write::DeleteSourceRange(prefix));
        }
    }

    /// Takes everything out of the tables.
    pub(super) fn remove(mut self, journal: &mut Journal) {
        self.trim(&Desired::none(), journal);
        journal.push(Write::DeleteName(self.id));
    }

    /// Writes each wanted member as `flags` makes it of the one held and the one wanted.
    fn put_members(&self, desired: &Desired, journal: &mut Journal, flags: impl Fn(Member, Member) -> Member) {
        let held: Vec<(MemberKey, Member)> = self.members(journal.image()).map(|(key, held)| (*key, *held)).collect();
        // Both are in the order of their keys.
        let mut held = held.into_iter().peekable();
        for ((addr, port), wanted) in &desired.members {
            let key = MemberKey::new(self.id, *addr, *port);
            while held.next_if(|(held, _)| *held < key).is_some() {}
            let held = held.next_if(|(held, _)| *held == key).map(|(_, member)| member);
            let member = flags(held.unwrap_or_default(), *wanted);
            if held != Some(member) {
                journal.push(Write::PutMember(key, member));
            }
        }
    }

    fn retain_members(&self, desired: &Desired, journal: &mut Journal) {
        let held = || self.members(journal.image()).map(|(key, _)| *key);
        // Every wanted one is a member by now, so equal numbers mean that none leaves.
        if held().count() == desired.members.len() {
            return;
        }
        let leaving: Vec<_> = held().filter(|key| !desired.has_member(key)).collect();
        for key in leaving {
            journal.push(Write::DeleteMember(key));
        }
    }
}

fn prefixes(id: u32, desired: &Desired) -> impl Iterator<Item = SourcePrefix> {
    desired.source_ranges.iter().map(move |network| SourcePrefix::new(id, *network))
}
