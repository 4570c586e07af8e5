//! Writes of one list, and the tables as they will be after them.

use std::collections::{BTreeMap, BTreeSet};

use proxy_common::addr::Addr;
use proxy_common::tables::Address;

use super::addresses::Addresses;
use super::{Image, Write};

/// Collects writes, each carried out on the image at once. Puts that follow each other, whatever Service port each is of, are
/// brought together by table, so that the kernel can take many in one go.
#[derive(Debug)]
pub(super) struct Journal {
    image: Image,
    addresses: Addresses,
    /// Addresses whose frontends changed, not written yet.
    stale_addresses: BTreeSet<Addr>,
    writes: Vec<Write>,
    /// Puts that go after them, by [`Write::stage`].
    puts: [Vec<Write>; Write::STAGES],
    /// Names that go last: after the epoch, so that no flow is left with a number that means nothing.
    names_leaving: Vec<Write>,
    a_member_left: bool,
}

impl Journal {
    pub(super) fn new(image: Image) -> Self {
        let addresses = Addresses::adopt(&image);
        // Whoever wrote last may have ended between a frontend and its address.
        let stale_addresses = addresses.of_frontends().copied().collect();
        Self {
            image,
            addresses,
            stale_addresses,
            writes: Vec::new(),
            puts: Default::default(),
            names_leaving: Vec::new(),
            a_member_left: false,
        }
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
        self.note_frontend(&write);
        self.carry_out(write);
    }

    /// Ends the first half of a list, which brings what is new. No later put is brought together with those before it: it
    /// may take back what only they lead readers away from. Addresses come here, after all frontends: one becomes a
    /// ClusterIP's with all of its ports, or those that are to come would be refused.
    pub(super) fn end_first_half(&mut self) {
        self.write_addresses();
        self.end_puts();
    }

    /// Writes what has become of the addresses of frontends since it last did.
    fn write_addresses(&mut self) {
        for addr in std::mem::take(&mut self.stale_addresses) {
            if let Some(write) = self.addresses.write(&self.image, addr) {
                self.carry_out(write);
            }
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

    fn note_frontend(&mut self, write: &Write) {
        let (key, new) = match write {
            Write::PutService(key, service) => (key, Some(service)),
            Write::DeleteService(key) => (key, None),
            _ => return,
        };
        self.addresses.changed(key, self.image.services.get(key), new);
        self.stale_addresses.insert(key.addr);
    }

    fn carry_out(&mut self, write: Write) {
        self.image.apply(&write);
        if let Some(stage) = write.stage() {
            self.puts[stage].push(write);
        } else {
            self.end_puts();
            self.writes.push(write);
        }
    }

    fn end_puts(&mut self) {
        for puts in &mut self.puts {
            self.writes.append(puts);
        }
    }

    /// The list, with one step of the epoch for all members that left.
    pub(super) fn finish(&mut self) -> Vec<Write> {
        self.end_first_half();
        if std::mem::take(&mut self.a_member_left) {
            self.writes.push(Write::AdvanceEpoch);
        }
        for write in std::mem::take(&mut self.names_leaving) {
            self.carry_out(write);
        }
        std::mem::take(&mut self.writes)
    }
}
