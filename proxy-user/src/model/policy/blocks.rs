//! Which of the CIDR blocks in use hold an address.

use std::collections::{BTreeMap, BTreeSet};

use ipnetwork::IpNetwork;

use super::peers::PeerId;
use super::prefix::Prefix;

/// The blocks in use, by the networks at which one begins to hold addresses or ceases to.
#[derive(Debug)]
pub(super) struct Blocks {
    borders: BTreeMap<Prefix, Border>,
    /// Most borders: the tables must hold those of two moments.
    room: usize,
    /// What there was no room for, so that it holds nothing.
    refused: BTreeMap<PeerId, Vec<IpNetwork>>,
}

/// What happens at a network's border.
#[derive(Default, Debug)]
struct Border {
    begin: BTreeSet<PeerId>,
    end: BTreeSet<PeerId>,
    /// Networks above this one that hold addresses of another family, for which it only stands in the way.
    guards: usize,
}

impl Blocks {
    pub(super) fn new(room: usize) -> Self {
        Self { borders: BTreeMap::new(), room, refused: BTreeMap::new() }
    }

    /// A block comes into use: `networks` are its CIDR and then its excepts.
    pub(super) fn insert(&mut self, id: PeerId, networks: Vec<IpNetwork>) {
        let mut prefixes: BTreeSet<Prefix> = networks.iter().map(|network| Prefix::from(*network)).collect();
        prefixes.insert(Prefix::all_ipv4());
        let new = prefixes.iter().filter(|prefix| !self.borders.contains_key(prefix)).count();
        if self.borders.len() + new > self.room {
            self.refused.insert(id, networks);
            return;
        }
        for (at, prefix) in networks.into_iter().map(Prefix::from).enumerate() {
            let border = self.borders.entry(prefix).or_default();
            let ids = if at == 0 { &mut border.begin } else { &mut border.end };
            if ids.insert(id) && prefix.is_above_ipv4() {
                self.borders.entry(Prefix::all_ipv4()).or_default().guards += 1;
            }
        }
    }

    /// A block is no longer in use. Returns what has room now and is to be inserted again.
    pub(super) fn remove(&mut self, id: PeerId, networks: &[IpNetwork]) -> Vec<(PeerId, Vec<IpNetwork>)> {
        if self.refused.remove(&id).is_some() {
            return Vec::new();
        }
        for (at, prefix) in networks.iter().copied().map(Prefix::from).enumerate() {
            let removed = self.change(prefix, |border| {
                let ids = if at == 0 { &mut border.begin } else { &mut border.end };
                ids.remove(&id)
            });
            if removed && prefix.is_above_ipv4() {
                self.change(Prefix::all_ipv4(), |border| {
                    border.guards -= 1;
                    true
                });
            }
        }
        std::mem::take(&mut self.refused).into_iter().collect()
    }

    fn change(&mut self, prefix: Prefix, change: impl FnOnce(&mut Border) -> bool) -> bool {
        let Some(border) = self.borders.get_mut(&prefix) else { return false };
        let changed = change(border);
        if border.begin.is_empty() && border.end.is_empty() && border.guards == 0 {
            self.borders.remove(&prefix);
        }
        changed
    }

    /// The blocks that hold all addresses of a network that is smaller than any of which some block holds only a part.
    pub(super) fn holding(&self, prefix: Prefix) -> BTreeSet<PeerId> {
        let (mut holding, mut ended) = (BTreeSet::new(), BTreeSet::new());
        for (network, border) in prefix.holders(&self.borders) {
            if network.is_ipv4() != prefix.is_ipv4() {
                break;
            }
            ended.extend(&border.end);
            holding.extend(border.begin.difference(&ended));
        }
        holding
    }

    /// Whether the addresses of exactly this network are held by others than those around it.
    pub(super) fn has_border(&self, prefix: Prefix) -> bool {
        self.borders.contains_key(&prefix)
    }

    /// Every network with a border.
    pub(super) fn borders(&self) -> impl Iterator<Item = Prefix> {
        self.borders.keys().copied()
    }

    /// Those within a network.
    pub(super) fn borders_within(&self, prefix: Prefix) -> impl Iterator<Item = Prefix> {
        prefix.held(&self.borders)
    }

    /// Blocks that there is no room for.
    pub(super) fn refused(&self) -> impl Iterator<Item = PeerId> {
        self.refused.keys().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn networks(texts: &[&str]) -> Vec<IpNetwork> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn blocks(lists: &[&[&str]], room: usize) -> Blocks {
        let mut blocks = Blocks::new(room);
        for (id, texts) in (1..).zip(lists) {
            blocks.insert(PeerId(id), networks(texts));
        }
        blocks
    }

    fn holding(blocks: &Blocks, addr: &str) -> Vec<u64> {
        let addr: std::net::IpAddr = addr.parse().unwrap();
        blocks.holding(addr.into()).into_iter().map(|PeerId(id)| id).collect()
    }

    #[test]
    fn excepts_end_their_own_block_and_no_other() {
        let blocks = blocks(
            &[
                &["10.0.0.0/8", "10.1.0.0/16", "10.1.2.0/24"],
                &["10.1.0.0/16", "10.1.2.0/24"],
                &["10.1.2.0/24", "10.1.2.3/32"],
                &["10.1.2.3/32"],
            ],
            100,
        );
        for (addr, expected) in [
            ("10.9.9.9", &[1][..]),
            ("10.1.9.9", &[2]),
            ("10.1.2.9", &[3]),
            ("10.1.2.3", &[4]),
            ("11.0.0.1", &[]),
            ("::ffff:0:1", &[]),
        ] {
            assert_eq!(holding(&blocks, addr), expected, "{addr}");
        }
    }

    #[test]
    fn a_block_of_one_family_holds_no_address_of_the_other() {
        let mut blocks = blocks(&[&["::/0"], &["0.0.0.0/0"]], 100);
        assert_eq!(holding(&blocks, "192.0.2.1"), [2]);
        assert_eq!(holding(&blocks, "2001:db8::1"), [1]);
        blocks.remove(PeerId(2), &networks(&["0.0.0.0/0"]));
        assert!(holding(&blocks, "192.0.2.1").is_empty());
        assert!(blocks.has_border(Prefix::all_ipv4()), "a trie without families would find ::/0");
        blocks.remove(PeerId(1), &networks(&["::/0"]));
        assert_eq!(blocks.borders().count(), 0);
    }

    #[test]
    fn a_block_without_room_holds_nothing_until_another_goes() {
        let mut blocks = blocks(&[&["10.0.0.0/8", "10.1.0.0/16"], &["192.0.2.0/24", "192.0.2.1/32"]], 4);
        assert!(holding(&blocks, "192.0.2.9").is_empty());
        assert!(blocks.refused().eq([PeerId(2)]));
        for (id, networks) in blocks.remove(PeerId(1), &networks(&["10.0.0.0/8", "10.1.0.0/16"])) {
            blocks.insert(id, networks);
        }
        assert_eq!(holding(&blocks, "192.0.2.9"), [2]);
        assert_eq!(blocks.refused().count(), 0);
    }
}
