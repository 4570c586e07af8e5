//! What there is to be of policies.

use std::collections::{BTreeMap, BTreeSet};

use proxy_common::addr::{Addr, Family};

use super::chains::{Chains, Source, render};
use super::peers::{Edits, Peers};
use super::set::{Members, Set};
use crate::plan::{PolicyImage, PolicyWrite};

/// The chains and sets that do what the policy tables say.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct PolicyRules {
    /// Addresses of this node's pods.
    local: BTreeSet<Addr>,
    peers: Peers,
    chains: BTreeMap<Family, Chains>,
    /// The sets that the chains ask.
    asked: BTreeSet<Set>,
}

/// How the rules are to be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Wishes<'a> {
    pub(super) families: &'a [Family],
    /// Names of pods' interfaces, by index.
    pub(super) pods: &'a BTreeMap<u32, String>,
    /// The sender of what is denied is told.
    pub(super) reject: bool,
}

impl PolicyRules {
    /// Of tables, for both families; `pods` are names of pods' interfaces by index, `reject` has the sender of what is
    /// denied told.
    #[must_use]
    pub fn of(image: &PolicyImage, pods: &BTreeMap<u32, String>, reject: bool) -> Self {
        Self::wished(image, &Wishes { families: &[Family::V4, Family::V6], pods, reject })
    }

    pub(super) fn wished(image: &PolicyImage, wishes: &Wishes<'_>) -> Self {
        let is_local = |addr: &&Addr| image.identities.get(addr).is_some_and(|identity| identity.is_local());
        let local = image.identities.keys().filter(is_local).copied().collect();
        let mut rules = Self { local, peers: Peers::of(image), ..Self::default() };
        rules.render(image, wishes);
        rules
    }

    /// Takes in `writes`, which led to `image`. Returns what they changed of sets.
    pub(super) fn update(&mut self, image: &PolicyImage, writes: &[PolicyWrite], wishes: &Wishes<'_>) -> Edits {
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
            if image.identities.get(addr).is_some_and(|identity| identity.is_local()) {
                self.local.insert(*addr);
            } else {
                self.local.remove(addr);
            }
        }
        let edits = if anew { self.peers.replace(image) } else { self.peers.update(image, touched.iter()) };
        self.render(image, wishes);
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

    fn render(&mut self, image: &PolicyImage, wishes: &Wishes<'_>) {
        let source = Source { image, local: &self.local, pods: wishes.pods, reject: wishes.reject };
        self.asked.clear();
        self.chains.clear();
        for family in wishes.families {
            let mut rendered = render(&source, *family);
            self.asked.append(&mut rendered.sets);
            self.chains.insert(*family, rendered.chains);
        }
    }
}
