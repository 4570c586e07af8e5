//! What there is to be of policies.

use std::collections::{BTreeMap, BTreeSet};

use proxy_common::addr::{Addr, Family};
use proxy_common::tables::Identity;

use super::chains::{Chains, Source, render};
use super::peers::{Edits, Peers};
use super::set::{Members, Set};
use crate::plan::{PolicyImage, PolicyWrite};

/// The chains and sets that do what the policy tables say. Pure.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct PolicyRules {
    families: Vec<Family>,
    /// The sender of what is denied is told.
    reject: bool,
    /// Addresses of this node's pods.
    local: BTreeSet<Addr>,
    peers: Peers,
    chains: BTreeMap<Family, Chains>,
    /// The sets that the chains ask.
    asked: BTreeSet<Set>,
}

impl PolicyRules {
    /// Of tables; `pods` are names of pods' interfaces by index, `reject` has the sender of what is denied told.
    #[must_use]
    pub fn of(families: &[Family], reject: bool, image: &PolicyImage, pods: &BTreeMap<u32, String>) -> Self {
        let local =
            image.identities.iter().filter(|(_, identity)| identity.is_local()).map(|(addr, _)| *addr).collect();
        let peers = Peers::of(image);
        let mut rules = Self { families: families.to_vec(), reject, local, peers, ..Self::default() };
        rules.render(image, pods);
        rules
    }

    /// Takes in `writes`, which led to `image`. Returns what they changed of sets, whether the chains ask those or not.
    pub fn update(&mut self, image: &PolicyImage, writes: &[PolicyWrite], pods: &BTreeMap<u32, String>) -> Edits {
        let mut touched = BTreeSet::new();
        let mut anew = false;
        for write in writes {
            match write {
                PolicyWrite::PutIdentity(addr, _) | PolicyWrite::DeleteIdentity(addr) => drop(touched.insert(*addr)),
                PolicyWrite::PutBlock(..) | PolicyWrite::DeleteBlock(_) | PolicyWrite::PutPodNetwork(_) => anew = true,
                _ => {}
            }
        }
        for addr in &touched {
            if image.identities.get(addr).is_some_and(Identity::is_local) {
                self.local.insert(*addr);
            } else {
                self.local.remove(addr);
            }
        }
        let edits = if anew { self.peers.replace(image) } else { self.peers.update(image, touched.iter()) };
        self.render(image, pods);
        edits
    }

    /// The chains of a family.
    #[must_use]
    pub fn chains(&self, family: Family) -> &Chains {
        static NONE: Chains = Chains::new();
        self.chains.get(&family).unwrap_or(&NONE)
    }

    /// The sets that the chains ask, with their members.
    pub fn sets(&self) -> impl Iterator<Item = (Set, &Members)> {
        self.asked.iter().map(|set| (*set, self.peers.members(*set)))
    }

    /// Takes the chains out, and the sets they ask, until the next update renders them.
    pub(super) fn take_rendered(&mut self) -> (BTreeMap<Family, Chains>, BTreeSet<Set>) {
        (std::mem::take(&mut self.chains), std::mem::take(&mut self.asked))
    }

    fn render(&mut self, image: &PolicyImage, pods: &BTreeMap<u32, String>) {
        let source = Source { image, local: &self.local, pods, reject: self.reject };
        self.asked.clear();
        self.chains.clear();
        for family in &self.families {
            let mut rendered = render(&source, *family);
            self.asked.append(&mut rendered.sets);
            self.chains.insert(*family, rendered.chains);
        }
    }
}
