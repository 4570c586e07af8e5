//! What the rules were made of, and what was written.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use proxy_common::addr::{Addr, Family};
use proxy_common::tables::{Address, ServiceKey, address_flags};

use super::change::Present;
use crate::dataplane::iptables::Node;
use crate::plan::{Image, Write};

/// The rules that are in force, by the Service port each is of.
#[derive(Debug)]
pub(in crate::dataplane::iptables) struct Written {
    pub(super) node: Node,
    pub(super) frontends: Frontends,
    /// The node's addresses.
    pub(super) addresses: BTreeMap<Addr, Address>,
    pub(super) ports: BTreeMap<u32, (Family, Present)>,
    /// What leads to node ports, by family.
    pub(super) node_ports: BTreeMap<Family, Present>,
}

/// Frontends by the number of their Service port, and the other way round.
#[derive(Debug, Default)]
pub(super) struct Frontends {
    by_id: BTreeMap<u32, BTreeSet<ServiceKey>>,
    owners: HashMap<ServiceKey, u32>,
}

impl Frontends {
    pub(super) fn new(image: &Image) -> Self {
        let mut frontends = Self::default();
        for (key, service) in &image.services {
            frontends.set(*key, Some(service.id));
        }
        frontends
    }

    /// The frontends of a Service port.
    pub(super) fn of(&self, id: u32) -> BTreeSet<ServiceKey> {
        self.by_id.get(&id).cloned().unwrap_or_default()
    }

    /// Gives a frontend to a Service port, or takes it out. Returns whose it was.
    pub(super) fn set(&mut self, key: ServiceKey, id: Option<u32>) -> Option<u32> {
        let old = match id {
            Some(id) => self.owners.insert(key, id),
            None => self.owners.remove(&key),
        };
        if let Some(old) = old
            && let Some(keys) = self.by_id.get_mut(&old)
        {
            keys.remove(&key);
            if keys.is_empty() {
                self.by_id.remove(&old);
            }
        }
        if let Some(id) = id {
            self.by_id.entry(id).or_default().insert(key);
        }
        old
    }

    /// The numbers of all Service ports that have a frontend.
    pub(super) fn ids(&self) -> impl Iterator<Item = u32> {
        self.by_id.keys().copied()
    }
}

/// What a list of writes is about.
#[derive(Debug, Default)]
pub(super) struct Touched {
    /// Service ports whose rules may have changed.
    pub(super) ids: BTreeSet<u32>,
    /// Service ports with the frontends that they had and have, if endpoints came or went that flows may stay on.
    pub(super) members: BTreeMap<u32, BTreeSet<ServiceKey>>,
    /// An address of the node's came, went or changed.
    pub(super) addresses: bool,
}

impl Written {
    /// Takes in a list of writes, and says what it was about.
    pub(super) fn note(&mut self, writes: &[Write]) -> Touched {
        let mut touched = Touched::default();
        for write in writes {
            match write {
                Write::PutName(id, _) | Write::DeleteName(id) => drop(touched.ids.insert(*id)),
                Write::PutBackend(key, _) | Write::DeleteBackend(key) => drop(touched.ids.insert(key.service)),
                Write::PutSourceRange(key) | Write::DeleteSourceRange(key) => {
                    touched.ids.insert(key.range.service);
                }
                Write::PutMember(key, _) | Write::DeleteMember(key) => {
                    let had = self.frontends.of(key.service);
                    touched.members.entry(key.service).or_default().extend(had);
                }
                Write::PutService(key, service) => self.note_frontend(&mut touched, *key, Some(service.id)),
                Write::DeleteService(key) => self.note_frontend(&mut touched, *key, None),
                Write::PutAddress(addr, address) => touched.addresses |= self.note_address(*addr, *address),
                Write::DeleteAddress(addr) => touched.addresses |= self.addresses.remove(addr).is_some(),
                Write::AdvanceEpoch => {}
            }
        }
        for (id, had) in &mut touched.members {
            had.extend(self.frontends.of(*id));
        }
        touched
    }

    fn note_frontend(&mut self, touched: &mut Touched, key: ServiceKey, id: Option<u32>) {
        let old = self.frontends.set(key, id);
        touched.ids.extend(old.into_iter().chain(id));
        if old != id {
            for id in old.into_iter().chain(id) {
                touched.members.entry(id).or_default().insert(key);
            }
        }
    }

    /// Whether it changes what the node serves.
    fn note_address(&mut self, addr: Addr, address: Address) -> bool {
        if address.is(address_flags::NODE) {
            self.addresses.insert(addr, address) != Some(address)
        } else {
            self.addresses.remove(&addr).is_some()
        }
    }
}

/// The node's addresses.
pub(super) fn node_addresses(image: &Image) -> BTreeMap<Addr, Address> {
    image.addresses.iter().filter(|(_, it)| it.is(address_flags::NODE)).map(|(addr, it)| (*addr, *it)).collect()
}
