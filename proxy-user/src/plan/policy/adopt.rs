//! Tables that an earlier agent left.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;

use proxy_common::addr::Addr;
use proxy_common::policy::EVERYBODY;
use proxy_common::tables::{Policing, Rule};

use super::name::from_table;
use super::numbers::NOTHING;
use super::set::{Set, mentions};
use super::sharing::Sharing;
use super::wanted::Wanted;
use super::{PolicyImage, RulePrefix};
use crate::model::{Class, Isolation, Policies, SetContent};

impl Wanted {
    /// Nothing, with numbers above all that `image` has, so that none of them gets another meaning. A policy keeps its
    /// number, under which its hits are counted.
    pub(super) fn above_all_of(image: &PolicyImage) -> Self {
        let policing = || image.identities.values().flat_map(|identity| [identity.last, identity.next]);
        let classes = policing().map(|it| it.class);
        let classes = classes.chain(image.blocks.values().flat_map(|block| [block.last, block.next]));
        let classes = classes.chain(image.rules.keys().map(|rule| rule.key.class));
        let sets = policing().flat_map(|it| [it.ingress & NOTHING, it.egress & NOTHING]);
        let sets = sets.chain(image.rules.keys().map(|rule| rule.key.set));
        let sets = sets.chain(image.set_policies.iter().map(|it| it.set)).filter(|set| *set != NOTHING);
        let policies = image.names.keys().copied();
        let policies = policies.chain(image.rules.values().map(|rule| rule.policy));
        let policies = policies.chain(image.set_policies.iter().map(|it| it.policy));
        let last = |numbers: &mut dyn Iterator<Item = u32>| numbers.max().unwrap_or(0);
        let mut wanted = Self::above(last(&mut { policies }), last(&mut { classes }), last(&mut { sets }));
        for (number, name) in &image.names {
            if let Some(policy) = from_table(name) {
                wanted.names.find(policy, *number);
            }
        }
        wanted
    }

    /// Finds the numbers that the tables have for classes and sets which the model asks for. A restart then writes nothing
    /// of what it finds as it should be.
    ///
    /// A class is what the addresses that should have it have, where that is one number and no other class's. A set is found
    /// likewise, and only with the policies and rules, for the classes found, that it should have.
    pub(super) fn recognise(&mut self, policies: &Policies, image: &PolicyImage) {
        let (mut classes, mut sets) = (Pairing::<Class>::default(), Pairing::<SetContent>::default());
        let all = policies.everything();
        for ip in all.addresses {
            let found = image.identities.get(&Addr::from(ip));
            let (Some(standing), Some(found)) = (policies.standing(ip), found) else { continue };
            let found = found.at(image.generation);
            classes.pair(standing.class, found.class);
            let mut pair = |isolation: Option<Isolation>, found: u32| {
                if let Some(isolation) = isolation {
                    sets.pair(isolation.set, found & !Policing::AUDIT);
                }
            };
            pair(standing.ingress, found.ingress);
            pair(standing.egress, found.egress);
        }
        for network in all.networks {
            if let (Some(class), Some(found)) = (policies.class_of(network), image.blocks.get(&network.into())) {
                classes.pair(class, found.at(image.generation));
            }
        }
        let classes: BTreeMap<u32, Class> = classes.unambiguous().map(|(class, number)| (number, class)).collect();
        let mut having = Sharing::default();
        for (number, class) in &classes {
            having.insert(*number, mentions(class));
        }
        for (content, number) in sets.unambiguous() {
            let set = Self::set(number, &content, policies, |policy| self.names.found(policy));
            if set.is_some_and(|set| is_as_found(&set, number, &classes, &having, image)) {
                self.set_numbers.find(content, number);
            }
        }
        for (number, class) in classes {
            self.classes.find(class, number);
        }
    }

    /// What was found and nobody asked for is nobody's.
    pub(super) fn end_finding(&mut self) {
        self.names.end_finding();
        self.classes.end_finding();
        self.set_numbers.end_finding();
    }
}

/// Whether the tables have of `set` what they should, as far as it is about `classes`.
fn is_as_found(set: &Set, number: u32, classes: &BTreeMap<u32, Class>, having: &Sharing, image: &PolicyImage) -> bool {
    let mut rules: BTreeMap<RulePrefix, Rule> = set.entries_of_everybody().into_iter().collect();
    for class in having.sharing(set.mentions()) {
        rules.extend(classes.get(&class).into_iter().flat_map(|content| set.entries(class, content)));
    }
    let is_about = |class: u32| class == EVERYBODY || classes.contains_key(&class);
    let found = image.rules_of_set(number).filter(|(rule, _)| is_about(rule.key.class));
    rules.iter().eq(found) && set.policies().eq(image.policies_of(number))
}

/// Which number what is asked for has, told bit by bit.
#[derive(Debug)]
struct Pairing<K> {
    /// `None`: more than one.
    numbers: HashMap<K, Option<u32>>,
    /// How many have a number.
    uses: HashMap<u32, usize>,
}

impl<K> Default for Pairing<K> {
    fn default() -> Self {
        Self { numbers: HashMap::new(), uses: HashMap::new() }
    }
}

impl<K: Eq + Hash> Pairing<K> {
    fn pair(&mut self, key: K, number: u32) {
        let mut first = false;
        let known = self.numbers.entry(key).or_insert_with(|| {
            first = true;
            Some(number)
        });
        if first {
            *self.uses.entry(number).or_default() += 1;
        } else if *known != Some(number) {
            *known = None;
            // That number may be another's too by now: it is nobody's.
            *self.uses.entry(number).or_default() += 2;
        }
    }

    /// Those of which each has one number, and no other has it. The numbers that stand for nothing are none.
    fn unambiguous(self) -> impl Iterator<Item = (K, u32)> {
        let uses = self.uses;
        let is_own = move |number: &u32| *number != 0 && *number != NOTHING && uses.get(number) == Some(&1);
        self.numbers.into_iter().filter_map(move |(key, number)| Some((key, number.filter(&is_own)?)))
    }
}
