//! Writes of one list, and the tables as they will be after them.

use std::collections::BTreeMap;

use proxy_common::addr::Addr;
use proxy_common::tables::Address;

use super::addresses::Addresses;
use super::{Image, Write};

/// Collects writes, each carried out on the image at once.
#[derive(Debug)]
pub(super) struct Journal {
    image: Image,
    addresses: Addresses,
    writes: Vec<Write>,
    /// Names that go last: after the epoch, so that no flow is left with a number that means nothing.
    names_leaving: Vec<Write>,
    a_member_left: bool,
}

impl Journal {
    pub(super) fn new(image: Image) -> Self {
        let addresses = Addresses::adopt(&image);
        Self { image, addresses, writes: Vec::new(), names_leaving: Vec::new(), a_member_left: false }
    }

    pub(super) fn image(&self) -> &Image {
        &self.image
    }

    pub(super) fn push(&mut self, write: Write) {
        match write {
            Write::DeleteName(_) => return self.names_leaving.push(write),
            Write::DeleteMember(_) => self.a_member_left = true,
            _ => {}
        }
        let address = self.address_after(&write);
        self.carry_out(write);
        if let Some(write) = address {
            self.carry_out(write);
        }
    }

    pub(super) fn node_addresses(&self) -> &BTreeMap<Addr, Address> {
        self.addresses.node()
    }

    /// The node's addresses are `addresses` now.
    pub(super) fn set_node_addresses(&mut self, addresses: BTreeMap<Addr, Address>) {
        for write in self.addresses.set_node(&self.image, addresses) {
            self.carry_out(write);
        }
    }

    /// Takes out addresses that are nobody's.
    pub(super) fn remove_stray_addresses(&mut self) {
        for write in self.addresses.strays(&self.image) {
            self.carry_out(write);
        }
    }

    /// What becomes of a frontend's address when the frontend is written: an address is looked up only while it is one.
    fn address_after(&mut self, write: &Write) -> Option<Write> {
        let (key, new) = match write {
            Write::PutService(key, service) => (key, Some(service)),
            Write::DeleteService(key) => (key, None),
            _ => return None,
        };
        self.addresses.changed(&self.image, key, self.image.services.get(key), new)
    }

    fn carry_out(&mut self, write: Write) {
        self.image.apply(&write);
        self.writes.push(write);
    }

    /// The list, with one step of the epoch for all members that left.
    pub(super) fn finish(&mut self) -> Vec<Write> {
        if std::mem::take(&mut self.a_member_left) {
            self.writes.push(Write::AdvanceEpoch);
        }
        for write in std::mem::take(&mut self.names_leaving) {
            self.carry_out(write);
        }
        std::mem::take(&mut self.writes)
    }
}
