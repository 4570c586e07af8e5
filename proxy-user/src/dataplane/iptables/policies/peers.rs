//! Which addresses are in which sets.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnetwork::IpNetwork;
use proxy_common::addr::{Addr, Family};
use proxy_common::policy::EVERYBODY;

use super::set::{Members, Set};
use crate::model::Prefix;
use crate::plan::PolicyImage;

/// The members of all sets, and the networks they come from.
///
/// An address is of one class: its own, else that of the longest network. So what is of a class and inside of a network
/// of another is in the one set, and stands as an exception in the other.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Peers {
    /// Class of each network.
    blocks: BTreeMap<Prefix, u32>,
    /// Where each network and address stands.
    places: BTreeMap<IpNetwork, Place>,
    members: BTreeMap<Set, Members>,
}

/// The sets that a network is in, or an exception in.
type Place = Vec<(Set, bool)>;

/// What changed of each set: what a network is from now on, none where it isn't in the set.
pub type Edits = BTreeMap<Set, BTreeMap<IpNetwork, Option<bool>>>;

impl Peers {
    pub(super) fn of(image: &PolicyImage) -> Self {
        let mut peers = Self { blocks: blocks(image), ..Self::default() };
        let everything: BTreeSet<Prefix> = peers.blocks.keys().copied().chain(addresses(image)).collect();
        for prefix in everything {
            peers.settle(image, prefix, &mut Edits::new());
        }
        peers
    }

    /// Takes in what became of addresses; networks are as they were.
    pub(super) fn update<'a>(&mut self, image: &PolicyImage, addrs: impl Iterator<Item = &'a Addr>) -> Edits {
        let mut edits = Edits::new();
        for addr in addrs {
            self.settle(image, IpAddr::from(*addr).into(), &mut edits);
        }
        edits
    }

    /// Takes in everything anew.
    pub(super) fn replace(&mut self, image: &PolicyImage) -> Edits {
        let old = std::mem::replace(self, Self::of(image));
        let sets: BTreeSet<Set> = old.members.keys().chain(self.members.keys()).copied().collect();
        let edits = sets.into_iter().map(|set| (set, edits(old.members(set), self.members(set))));
        edits.filter(|(_, edits)| !edits.is_empty()).collect()
    }

    /// The members of a set; none where it has none.
    pub(super) fn members(&self, set: Set) -> &Members {
        static NONE: Members = Members::new();
        self.members.get(&set).unwrap_or(&NONE)
    }

    /// Moves a network or address to where it belongs.
    fn settle(&mut self, image: &PolicyImage, prefix: Prefix, edits: &mut Edits) {
        let Some(network) = network(prefix) else { return };
        let place = self.place(image, prefix, network);
        let left = self.places.remove(&network).unwrap_or_default();
        for (set, _) in left.iter().filter(|(set, _)| place.iter().all(|(new, _)| new != set)) {
            edits.entry(*set).or_default().insert(network, None);
            if let Some(members) = self.members.get_mut(set) {
                members.remove(&network);
                if members.is_empty() {
                    self.members.remove(set);
                }
            }
        }
        for (set, holds) in place.iter().filter(|new| !left.contains(new)) {
            edits.entry(*set).or_default().insert(network, Some(*holds));
            self.members.entry(*set).or_default().insert(network, *holds);
        }
        if !place.is_empty() {
            self.places.insert(network, place);
        }
    }

    fn place(&self, image: &PolicyImage, prefix: Prefix, network: IpNetwork) -> Place {
        let family = if network.is_ipv4() { Family::V4 } else { Family::V6 };
        let addr = Addr::from(network.ip());
        let identity = if is_address(network) { image.identities.get(&addr) } else { None };
        let of_identity = identity.map(|identity| identity.at(image.generation).class);
        let mut place = Place::new();
        if let Some(class) = of_identity.or_else(|| self.blocks.get(&prefix).copied()) {
            let around = self.around(prefix);
            let in_class = (class != EVERYBODY).then_some((Set::Class(family, class), true));
            let exception = (around != EVERYBODY && around != class).then_some((Set::Class(family, around), false));
            place.extend(in_class.into_iter().chain(exception));
        }
        if identity.is_some() && image.pod_network.contains(&addr) {
            place.push((Set::Known(family), true));
        }
        place
    }

    /// Class of the longest network that a network is inside of.
    fn around(&self, prefix: Prefix) -> u32 {
        let (_, bits) = prefix.parts();
        let outer = bits.checked_sub(1).and_then(|bits| prefix.truncated(bits).longest(&self.blocks));
        outer.filter(|(outer, _)| outer.is_ipv4() == prefix.is_ipv4()).map_or(EVERYBODY, |(_, class)| *class)
    }
}

/// What leads from some members to others.
pub(super) fn edits(from: &Members, to: &Members) -> BTreeMap<IpNetwork, Option<bool>> {
    let gone = from.keys().filter(|network| !to.contains_key(network)).map(|network| (*network, None));
    let new = to.iter().filter(|(network, holds)| from.get(network) != Some(holds));
    gone.chain(new.map(|(network, holds)| (*network, Some(*holds)))).collect()
}

/// Classes of the networks. A whole family is two halves, as a set takes no network without a prefix.
fn blocks(image: &PolicyImage) -> BTreeMap<Prefix, u32> {
    let class = |block: &proxy_common::tables::Block| block.at(image.generation);
    let mut blocks: BTreeMap<Prefix, u32> =
        image.blocks.iter().map(|(prefix, block)| (Prefix::from(*prefix), class(block))).collect();
    for (whole, halves) in [("0.0.0.0/0", ["0.0.0.0/1", "128.0.0.0/1"]), ("::/0", ["::/1", "8000::/1"])] {
        let Some(class) = parsed(whole).and_then(|whole| blocks.remove(&whole)) else { continue };
        for half in halves.into_iter().filter_map(parsed) {
            blocks.entry(half).or_insert(class);
        }
    }
    blocks
}

fn parsed(network: &str) -> Option<Prefix> {
    network.parse::<IpNetwork>().ok().map(Prefix::from)
}

fn addresses(image: &PolicyImage) -> impl Iterator<Item = Prefix> {
    image.identities.keys().map(|addr| IpAddr::from(*addr).into())
}

fn is_address(network: IpNetwork) -> bool {
    network.prefix() == if network.is_ipv4() { 32 } else { 128 }
}

fn network(prefix: Prefix) -> Option<IpNetwork> {
    let (addr, bits) = prefix.parts();
    let addr = IpAddr::V6(addr.into());
    if prefix.is_ipv4() {
        return IpNetwork::new(addr.to_canonical(), bits - 96).ok();
    }
    IpNetwork::new(addr, bits).ok()
}
