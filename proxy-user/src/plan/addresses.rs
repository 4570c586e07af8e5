//! What each address is: of the node, of a frontend, or both.

use std::collections::{BTreeMap, HashMap};

use proxy_common::addr::Addr;
use proxy_common::tables::{Address, Service, ServiceKey, address_flags, service_flags};

use super::{Image, Write};

/// Bits that say what an address is to the node.
const OF_NODE: u32 = address_flags::NODE | address_flags::NODE_PORT;

/// What makes up `ADDRESSES`.
#[derive(Debug, Default)]
pub(super) struct Addresses {
    node: BTreeMap<Addr, Address>,
    frontends: HashMap<Addr, Frontends>,
}

/// Frontends that have one address.
#[derive(Clone, Copy, Debug, Default)]
struct Frontends {
    external: u32,
    cluster_ip: u32,
}

impl Addresses {
    /// From tables that were found: the node's are as they were until [`Addresses::set_node`] says otherwise.
    pub(super) fn adopt(image: &Image) -> Self {
        let of_node = |(addr, address): (&Addr, &Address)| {
            let flags = address.flags & OF_NODE;
            (flags != 0).then_some((*addr, Address { flags }))
        };
        let mut it = Self { node: image.addresses.iter().filter_map(of_node).collect(), frontends: HashMap::new() };
        for (key, service) in &image.services {
            it.count(key, service, 1);
        }
        it
    }

    /// The node's.
    pub(super) const fn node(&self) -> &BTreeMap<Addr, Address> {
        &self.node
    }

    /// A frontend comes, goes or changes.
    pub(super) fn changed(&mut self, key: &ServiceKey, old: Option<&Service>, new: Option<&Service>) {
        if let Some(old) = old {
            self.count(key, old, u32::MAX);
        }
        if let Some(new) = new {
            self.count(key, new, 1);
        }
    }

    /// The addresses of frontends.
    pub(super) fn of_frontends(&self) -> impl Iterator<Item = &Addr> {
        self.frontends.keys()
    }

    /// The node's addresses are `node` now. Returns what becomes of those that differ.
    pub(super) fn set_node(&mut self, image: &Image, node: BTreeMap<Addr, Address>) -> Vec<Write> {
        let old = std::mem::replace(&mut self.node, node);
        let gone = old.keys().filter(|addr| !self.node.contains_key(addr));
        gone.chain(self.node.keys()).filter_map(|addr| self.write(image, *addr)).collect()
    }

    /// What is left over of addresses that are nobody's.
    pub(super) fn strays(&self, image: &Image) -> Vec<Write> {
        image.addresses.keys().filter_map(|addr| self.write(image, *addr)).collect()
    }

    /// `change` is 1 or, to count down, `u32::MAX`.
    fn count(&mut self, key: &ServiceKey, service: &Service, change: u32) {
        if service.flags & service_flags::NODE_PORT != 0 {
            return;
        }
        let frontends = self.frontends.entry(key.addr).or_default();
        let is_external = service.flags & service_flags::EXTERNAL != 0;
        let counter = if is_external { &mut frontends.external } else { &mut frontends.cluster_ip };
        *counter = counter.wrapping_add(change);
        if frontends.external == 0 && frontends.cluster_ip == 0 {
            self.frontends.remove(&key.addr);
        }
    }

    /// Leads from what `image` holds of `addr` to what it should.
    pub(super) fn write(&self, image: &Image, addr: Addr) -> Option<Write> {
        let mut flags = self.node.get(&addr).map_or(0, |address| address.flags);
        if let Some(frontends) = self.frontends.get(&addr) {
            flags |= address_flags::FRONTEND;
            flags |= if frontends.cluster_ip != 0 { address_flags::CLUSTER_IP } else { 0 };
        }
        let wanted = (flags != 0).then_some(Address { flags });
        match (image.addresses.get(&addr).copied(), wanted) {
            (held, wanted) if held == wanted => None,
            (_, Some(address)) => Some(Write::PutAddress(addr, address)),
            (_, None) => Some(Write::DeleteAddress(addr)),
        }
    }
}
