//! What an address is to a reader, before a change and after it.

use std::collections::BTreeMap;

use proxy_common::addr::Addr;
use proxy_common::tables::{Block, Identity, PodNetwork, Policing, identity_flags, pod_network_flags};

use super::PolicyImage;
use super::numbers::NOTHING;
use super::wanted::Wanted;
use crate::model::Prefix;

/// `POD_NETWORK` before a change and after it, and between.
pub(super) struct Now {
    before: PodNetwork,
    pub(super) after: PodNetwork,
}

impl Now {
    pub(super) fn of(image: &PolicyImage, after: PodNetwork) -> Self {
        Self { before: image.pod_network, after }
    }

    /// Addresses are held that weren't before. Flows that they have are to be judged anew.
    pub(super) fn begins_hold(&self) -> bool {
        holds(&self.after)
            && (!holds(&self.before) || PodNetwork { flags: self.before.flags, ..self.after } != self.before)
    }

    /// Before the first address is policed.
    pub(super) fn policed_early(&self) -> PodNetwork {
        PodNetwork { flags: self.before.flags | (self.after.flags & pod_network_flags::POLICED), ..self.before }
    }

    /// When every address that is known from now on has its identity, so that it isn't held for an instant, and before the
    /// generation, for from then on an unknown one is to be held.
    pub(super) fn held_early(&self) -> PodNetwork {
        if holds(&self.after) && !holds(&self.before) {
            PodNetwork { flags: self.before.flags | self.after.flags, ..self.after }
        } else {
            self.policed_early()
        }
    }
}

fn holds(network: &PodNetwork) -> bool {
    network.flags & pod_network_flags::HOLD_UNKNOWN != 0
}

/// What readers make of an address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Standing {
    local: bool,
    policing: Policing,
}

/// What an address without an identity is: of its blocks, and held where `network` says so, which is as if it were policed
/// by policies that allow nothing.
fn unknown(addr: &Addr, network: &PodNetwork, class: u32) -> Standing {
    let held = holds(network) && network.contains(addr);
    let set = if held { NOTHING } else { 0 };
    Standing { local: held, policing: Policing { class, ingress: set, egress: set } }
}

/// An address that isn't to be what it was.
#[derive(Debug)]
pub(super) struct Transition {
    pub(super) addr: Addr,
    entry: Option<Identity>,
    /// The entry says something of the next generation, whose writer ended before it began.
    pending: bool,
    last: Standing,
    next: Standing,
    /// It has an identity afterwards, with this interface.
    ifindex: Option<u32>,
}

impl Transition {
    pub(super) fn of(
        addr: Addr,
        now: &Now,
        image: &PolicyImage,
        blocks: &BTreeMap<Prefix, Block>,
        wanted: &Wanted,
    ) -> Option<Self> {
        let (entry, new) = (image.identities.get(&addr).copied(), wanted.address(&addr));
        if entry.is_none() && new.is_none() {
            return None;
        }
        let prefix = Prefix::from(std::net::IpAddr::from(addr));
        let generation = image.generation;
        let last = entry.map_or_else(
            || unknown(&addr, &now.before, prefix.longest(blocks).map_or(0, |(_, block)| block.at(generation))),
            |entry| Standing { local: entry.is_local(), policing: entry.at(generation) },
        );
        let next = new.map_or_else(
            || unknown(&addr, &now.after, prefix.longest(wanted.networks()).map_or(0, |(_, class)| *class)),
            |new| Standing { local: new.local, policing: new.policing },
        );
        let pending = entry.is_some_and(|it| it.at(generation.wrapping_add(1)) != it.at(generation));
        let it = Self { addr, entry, pending, last, next, ifindex: new.map(|new| new.ifindex) };
        let stays = entry.is_some_and(|entry| it.ifindex == Some(entry.ifindex)) && last == next && !pending;
        (!stays).then_some(it)
    }

    /// Readers must come to see it all at once with the rest of the change. Not so an address that was held: it had no
    /// flows, and whoever it is spoken of with is held or stays what it is.
    pub(super) fn needs_generation(&self) -> bool {
        let was_held = self.entry.is_none() && self.last.policing.ingress == NOTHING;
        self.last.policing != self.next.policing && !was_held
    }

    /// What is to stand there before generation `since` begins, if `begins`.
    pub(super) fn identity(&self, since: u32, begins: bool) -> Option<Identity> {
        let goes = self.ifindex.is_none();
        if goes && self.last.policing == self.next.policing && !self.pending {
            return None;
        }
        let last = if begins { self.last } else { self.next };
        // Somebody else's sets don't matter, so it is ours for as long as one of the two generations says so.
        let local = last.local || self.next.local;
        Some(Identity { last: last.policing, ..self.with(local, since) })
    }

    /// What is to stand there once generation `since` has begun.
    pub(super) fn settled(&self, since: u32, begins: bool) -> Option<Identity> {
        self.ifindex?;
        let before = self.identity(since, begins)?;
        Some(Identity { last: before.last, ..self.with(self.next.local, since) })
    }

    fn with(&self, local: bool, since: u32) -> Identity {
        Identity {
            flags: if local { identity_flags::LOCAL } else { 0 },
            ifindex: self.ifindex.or(self.entry.map(|entry| entry.ifindex)).unwrap_or(0),
            since,
            last: self.next.policing,
            next: self.next.policing,
        }
    }
}
