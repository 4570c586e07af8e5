//! One Service port in the tables.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use proxy_common::addr::{Addr, Port};
use proxy_common::tables::{EndpointSet, Member, MemberKey, Service, ServiceKey};

use super::journal::Journal;
use super::limits::Growth;
use super::slots::Slots;
use super::{Desired, Image, Write};

/// What the tables hold of one Service port.
#[derive(Debug)]
pub(super) struct PlannedPort {
    /// Its number.
    pub(super) id: u32,
    frontends: BTreeSet<ServiceKey>,
    members: HashMap<(Addr, Port), Member>,
    cluster: Slots,
    local: Slots,
}

impl PlannedPort {
    /// A Service port that has nothing in the tables.
    pub(super) fn new(id: u32) -> Self {
        Self::adopt(&Image::default(), id, BTreeSet::new())
    }

    /// What `image` holds of the number `id`, `frontends` among it.
    pub(super) fn adopt(image: &Image, id: u32, frontends: BTreeSet<ServiceKey>) -> Self {
        let first = MemberKey::new(id, Addr::UNSPECIFIED, Port::new(0));
        let members = image.members.range(first..).take_while(|(key, _)| key.service == id);
        Self {
            id,
            frontends,
            members: members.map(|(key, member)| ((key.addr, key.port), *member)).collect(),
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
            members: desired.members.keys().filter(|member| !self.members.contains_key(member)).count(),
            names: 0,
        }
    }

    /// First half of making the tables hold `desired`: members and slots, then the frontends with their counts, so that
    /// everything a reader can be led to is there before it is led there.
    pub(super) fn put(&mut self, desired: &Desired, journal: &mut Journal) {
        for ((addr, port), member) in &desired.members {
            if self.members.insert((*addr, *port), *member) != Some(*member) {
                journal.push(Write::PutMember(MemberKey::new(self.id, *addr, *port), *member));
            }
        }
        for (slots, wanted) in [(&mut self.cluster, &desired.cluster), (&mut self.local, &desired.local)] {
            for (key, backend) in slots.place(wanted) {
                journal.push(Write::PutBackend(key, backend));
            }
        }
        let counts = (desired.cluster.len() as u32, desired.local.len() as u32);
        for (key, flags) in &desired.frontends {
            let service =
                Service { id: self.id, cluster: counts.0, local: counts.1, flags: *flags, ..Service::default() };
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
        let slots = self.cluster.truncate(desired.cluster.len()).into_iter();
        for key in slots.chain(self.local.truncate(desired.local.len())) {
            journal.push(Write::DeleteBackend(key));
        }
        self.retain_members(&desired.members, journal);
    }

    /// Takes everything out of the tables.
    pub(super) fn remove(mut self, journal: &mut Journal) {
        self.trim(&Desired::none(), journal);
        journal.push(Write::DeleteName(self.id));
    }

    fn retain_members(&mut self, wanted: &BTreeMap<(Addr, Port), Member>, journal: &mut Journal) {
        // Every wanted one is a member by now, so equal numbers mean that none leaves.
        if self.members.len() == wanted.len() {
            return;
        }
        let leaving = self.members.extract_if(|member, _| !wanted.contains_key(member));
        let mut leaving: Vec<_> = leaving.map(|(member, _)| member).collect();
        leaving.sort_unstable();
        for (addr, port) in leaving {
            journal.push(Write::DeleteMember(MemberKey::new(self.id, addr, port)));
        }
    }
}
