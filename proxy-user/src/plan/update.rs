//! From the tables as they are to the tables as they should be.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use proxy_common::addr::{Addr, Family, Port};
use proxy_common::tables::{Address, BackendKey, ServiceKey};

use super::journal::Journal;
use super::limits::{Growth, Limits, TableFull};
use super::port::PlannedPort;
use super::{Desired, Image, Write, name};
use crate::model::{Protocol, ServicePort, ServicePortName, ServiceRef};

/// What the tables hold, and the numbers of the Service ports in them.
///
/// A number is kept for as long as its Service port exists, also from one agent to the next, and one that became free
/// is the last to be used again.
#[derive(Debug)]
pub struct Plan {
    journal: Journal,
    limits: Limits,
    ports: BTreeMap<ServicePortName, PlannedPort>,
    /// The number given last.
    last_id: u32,
    /// See [`Plan::unconfirmed`].
    unconfirmed: BTreeSet<ServiceRef>,
    /// Services whose latest change there is no room for, with the ports they are to have.
    refused: BTreeMap<ServiceRef, (Vec<ServicePort>, TableFull)>,
}

impl Plan {
    /// Starts from what the tables hold: `image`, as an earlier agent left it at whatever moment.
    #[must_use]
    pub fn adopt(image: Image, limits: Limits) -> Self {
        let mut frontends: HashMap<u32, BTreeSet<ServiceKey>> = HashMap::new();
        for (key, service) in &image.services {
            frontends.entry(service.id).or_default().insert(*key);
        }
        let last_id = highest_id(&image);
        let mut ports = BTreeMap::new();
        for (id, entry) in &image.names {
            if let Some(name) = name::from_table(entry) {
                let adopted = || PlannedPort::adopt(&image, *id, frontends.remove(id).unwrap_or_default());
                ports.entry(name).or_insert_with(adopted);
            }
        }
        let unconfirmed = ports.keys().map(|name: &ServicePortName| name.service.clone()).collect();
        Self { journal: Journal::new(image), limits, ports, last_id, unconfirmed, refused: BTreeMap::new() }
    }

    /// Makes the ports of each Service in `services` be as given, no more and no less; none where it is no more. Returns
    /// the writes, which are to be carried out in this order. What is given must be the complete truth: so not before
    /// the first full list, and together for all Services that one moment's changes affect, as a frontend that moves
    /// between two of them is then never without either.
    pub fn update(&mut self, services: &BTreeMap<ServiceRef, Vec<ServicePort>>) -> Vec<Write> {
        for service in services.keys() {
            self.unconfirmed.remove(service);
        }
        self.refused.retain(|service, _| !services.contains_key(service));
        self.put(services);
        self.finish()
    }

    /// The node's addresses, with their [`address_flags`](proxy_common::tables::address_flags).
    pub fn set_node_addresses(&mut self, addresses: BTreeMap<Addr, Address>) -> Vec<Write> {
        self.journal.set_node_addresses(addresses);
        self.finish()
    }

    /// The node's addresses as they were last given, or found.
    #[must_use]
    pub fn node_addresses(&self) -> &BTreeMap<Addr, Address> {
        self.journal.node_addresses()
    }

    /// Whether some Service port has a node port of the family `of`.
    #[must_use]
    pub fn has_node_ports(&self, of: Family) -> bool {
        let first = ServiceKey::new(of.any(), Port::new(0), 0);
        self.image().services.range(first..).next().is_some_and(|(key, _)| key.addr == of.any())
    }

    /// Takes out what was found at the start and nobody has asked for, but for Services of which `may_be_there` says that
    /// somebody may: to be called after the [`Plan::update`] with the first full list, and again when it says so of fewer.
    pub fn finish_first_sync(&mut self, may_be_there: impl Fn(&ServiceRef) -> bool) -> Vec<Write> {
        let (kept, unconfirmed) = std::mem::take(&mut self.unconfirmed).into_iter().partition(may_be_there);
        self.unconfirmed = kept;
        let unconfirmed: BTreeSet<ServiceRef> = unconfirmed;
        let gone: Vec<_> = unconfirmed.iter().flat_map(|service| self.names_of(service)).cloned().collect();
        self.remove(&gone);
        self.remove_strays();
        self.finish()
    }

    /// Services found in the tables at the start that nobody has asked for yet.
    pub fn unconfirmed(&self) -> impl Iterator<Item = &ServiceRef> {
        self.unconfirmed.iter()
    }

    /// What the tables hold once every write returned so far is carried out.
    #[must_use]
    pub fn image(&self) -> &Image {
        self.journal.image()
    }

    /// The changes there is no room for, in the order of their Services.
    pub fn refused(&self) -> impl Iterator<Item = &TableFull> {
        self.refused.values().map(|(_, error)| error)
    }

    fn names_of<'a>(&'a self, service: &'a ServiceRef) -> impl Iterator<Item = &'a ServicePortName> {
        let first = ServicePortName {
            service: service.clone(),
            port: String::new(),
            protocol: Protocol::Tcp,
            family: Family::V4,
        };
        self.ports.range(first..).map(|(name, _)| name).take_while(move |name| name.service == *service)
    }

    /// What comes of all Services precedes what goes of any: a frontend that moves between them is never without either.
    fn put(&mut self, services: &BTreeMap<ServiceRef, Vec<ServicePort>>) {
        let mut accepted = Vec::new();
        for (service, ports) in services {
            let ports: Vec<_> = ports.iter().map(|port| (port, Desired::from(port))).collect();
            match self.put_service(service, &ports) {
                Ok(()) => accepted.push((service, ports)),
                Err(error) => {
                    let ports = ports.into_iter().map(|(port, _)| port.clone()).collect();
                    self.refused.insert(service.clone(), (ports, error));
                }
            }
        }
        self.journal.end_first_half();
        for (_, ports) in &accepted {
            for (port, desired) in ports {
                if let Some(planned) = self.ports.get_mut(&port.name) {
                    planned.trim(desired, &mut self.journal);
                }
            }
        }
        for (service, ports) in accepted {
            let wanted: BTreeSet<_> = ports.iter().map(|(port, _)| &port.name).collect();
            let gone: Vec<_> = self.names_of(service).filter(|name| !wanted.contains(name)).cloned().collect();
            self.remove(&gone);
        }
    }

    /// All that comes of a Service, or nothing of it.
    fn put_service(&mut self, service: &ServiceRef, ports: &[(&ServicePort, Desired)]) -> Result<(), TableFull> {
        let image = self.journal.image();
        let mut growth = Growth::default();
        for (port, desired) in ports {
            growth += match self.ports.get(&port.name) {
                Some(planned) => planned.growth(image, desired),
                None => Growth { names: 1, ..PlannedPort::new(0).growth(image, desired) },
            };
        }
        self.limits.check(image, &growth, service)?;
        for (port, desired) in ports {
            let id = if self.ports.contains_key(&port.name) { 0 } else { self.next_id() };
            let planned = self.ports.entry(port.name.clone()).or_insert_with(|| {
                self.journal.push(Write::PutName(id, Box::new(name::to_table(&port.name))));
                PlannedPort::new(id)
            });
            planned.put(desired, &mut self.journal);
        }
        Ok(())
    }

    fn remove(&mut self, gone: &[ServicePortName]) {
        for name in gone {
            if let Some(planned) = self.ports.remove(name) {
                planned.remove(&mut self.journal);
            }
        }
    }

    /// Entries that belong to no Service port: an agent that was killed may leave some behind.
    fn remove_strays(&mut self) {
        let ports: HashMap<u32, &PlannedPort> = self.ports.values().map(|port| (port.id, port)).collect();
        let image = self.journal.image();
        let slots = |key: &BackendKey| ports.get(&key.service).map_or(0, |port| port.slots(key.set));
        let services = image.services.iter().filter(|(_, service)| !ports.contains_key(&service.id));
        let backends = image.backends.keys().filter(|key| key.slot as usize >= slots(key));
        let members = image.members.keys().filter(|key| !ports.contains_key(&key.service));
        let ranges = image.source_ranges.iter().filter(|key| !ports.contains_key(&key.range.service));
        let names = image.names.keys().filter(|id| !ports.contains_key(id));
        let strays: Vec<Write> = services
            .map(|(key, _)| Write::DeleteService(*key))
            .chain(backends.map(|key| Write::DeleteBackend(*key)))
            .chain(members.map(|key| Write::DeleteMember(*key)))
            .chain(ranges.map(|key| Write::DeleteSourceRange(*key)))
            .chain(names.map(|id| Write::DeleteName(*id)))
            .collect();
        for write in strays {
            self.journal.push(write);
        }
        self.journal.remove_stray_addresses();
    }

    /// Ends a list of writes; what was refused is tried again as long as entries become free.
    fn finish(&mut self) -> Vec<Write> {
        let mut writes = self.journal.finish();
        let mut freed = writes.iter().any(Write::frees_an_entry);
        while freed && !self.refused.is_empty() {
            let again = std::mem::take(&mut self.refused);
            self.put(&again.into_iter().map(|(service, (ports, _))| (service, ports)).collect());
            let more = self.journal.finish();
            freed = more.iter().any(Write::frees_an_entry);
            writes.extend(more);
        }
        writes
    }

    fn next_id(&mut self) -> u32 {
        loop {
            self.last_id = self.last_id.wrapping_add(1);
            // 0 is what an empty `Service` holds; it stays unused so that it can be told.
            if self.last_id != 0 && !self.journal.image().names.contains_key(&self.last_id) {
                return self.last_id;
            }
        }
    }
}

/// The highest number of any entry, so that those left behind without a name are not given again either.
fn highest_id(image: &Image) -> u32 {
    let ids = image.names.keys().copied();
    let ids = ids.chain(image.services.values().map(|service| service.id));
    let ids = ids.chain(image.backends.keys().map(|key| key.service));
    let ids = ids.chain(image.source_ranges.iter().map(|key| key.range.service));
    ids.chain(image.members.keys().map(|key| key.service)).max().unwrap_or(0)
}

#[cfg(test)]
mod tests;
