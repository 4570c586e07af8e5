//! What the model asks for, in numbers.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use proxy_common::addr::Addr;
use proxy_common::policy::EVERYBODY;
use proxy_common::tables::{Policing, Rule, SetPolicy};

use super::RulePrefix;
use super::numbers::{NOTHING, Numbers};
use super::set::{Set, mentions};
use super::sharing::Sharing;
use crate::model::{Class, Isolation, Policies, PolicyRef, Prefix, SetContent, Standing};

/// What the tables are to hold.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) names: Numbers<PolicyRef>,
    pub(super) classes: Numbers<Class>,
    pub(super) set_numbers: Numbers<SetContent>,
    sets: BTreeMap<u32, Set>,
    sets_asking: Sharing,
    classes_having: Sharing,
    addresses: BTreeMap<Addr, WantedAddress>,
    /// Classes of networks.
    networks: BTreeMap<Prefix, u32>,
    /// Addresses of this node's that are policed.
    policed: usize,
    /// Sets that the tables have no room for: they allow nothing.
    pub(super) refused: HashSet<SetContent>,
}

/// An address that is to have an identity.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct WantedAddress {
    pub(super) local: bool,
    pub(super) ifindex: u32,
    pub(super) policing: Policing,
}

/// What began or ceased to be asked for.
#[derive(Default, Debug)]
pub(super) struct Difference {
    pub(super) sets_came: BTreeSet<u32>,
    pub(super) classes_came: BTreeSet<u32>,
    pub(super) sets_went: BTreeSet<u32>,
    /// Sets and classes whose rules are nobody's any more.
    pub(super) pairs_went: BTreeSet<(u32, u32)>,
    pub(super) names_went: BTreeSet<u32>,
}

/// What one set has in the tables.
#[derive(Default, Debug)]
pub(super) struct SetEntries {
    pub(super) names: Vec<(u32, PolicyRef)>,
    pub(super) policies: Vec<SetPolicy>,
    pub(super) rules: Vec<(RulePrefix, Rule)>,
}

impl Wanted {
    /// Nothing, with numbers above those of policies, classes and sets that the tables hold.
    pub(super) fn above(policy: u32, class: u32, set: u32) -> Self {
        Self {
            names: Numbers::above(policy),
            classes: Numbers::above(class),
            set_numbers: Numbers::above(set),
            sets: BTreeMap::new(),
            sets_asking: Sharing::default(),
            classes_having: Sharing::default(),
            addresses: BTreeMap::new(),
            networks: BTreeMap::new(),
            policed: 0,
            refused: HashSet::new(),
        }
    }

    pub(super) fn address(&self, addr: &Addr) -> Option<&WantedAddress> {
        self.addresses.get(addr)
    }

    pub(super) fn networks(&self) -> &BTreeMap<Prefix, u32> {
        &self.networks
    }

    /// Some address of this node is policed.
    pub(super) fn is_policed(&self) -> bool {
        self.policed != 0
    }

    pub(super) fn has_set(&self, set: u32) -> bool {
        self.sets.contains_key(&set)
    }

    pub(super) fn has_class(&self, class: u32) -> bool {
        class == EVERYBODY || self.classes.get(class).is_some()
    }

    /// Takes in what addresses and networks are by now.
    pub(super) fn take_in(
        &mut self,
        policies: &Policies,
        addresses: impl Iterator<Item = (Addr, Option<Standing>)>,
        networks: impl Iterator<Item = Prefix>,
        difference: &mut Difference,
    ) {
        let mut left = Vec::new();
        for (addr, standing) in addresses {
            let new = standing.map(|standing| self.number(&standing));
            let old = match new {
                Some(new) => self.addresses.insert(addr, new),
                None => self.addresses.remove(&addr),
            };
            let policed =
                |it: Option<WantedAddress>| usize::from(it.is_some_and(|it| it.local && it.policing.is_policed()));
            self.policed = self.policed + policed(new) - policed(old);
            left.extend(old.map(|old| old.policing));
        }
        for network in networks {
            let old = match policies.class_of(network) {
                Some(class) => {
                    let class = self.acquire_class(&class);
                    self.networks.insert(network, class)
                }
                None => self.networks.remove(&network),
            };
            left.extend(old.map(|class| Policing { class, ..Policing::default() }));
        }
        // What was left is given up only now, so that what is left and taken keeps its number.
        for policing in left {
            self.release(policing, difference);
        }
        self.settle(policies, difference);
    }

    fn number(&mut self, standing: &Standing) -> WantedAddress {
        let policing = Policing {
            class: self.acquire_class(&standing.class),
            ingress: self.acquire_set(standing.ingress.as_ref()),
            egress: self.acquire_set(standing.egress.as_ref()),
        };
        WantedAddress { local: standing.local, ifindex: standing.ifindex, policing }
    }

    fn acquire_class(&mut self, class: &Class) -> u32 {
        if class.is_empty() { EVERYBODY } else { self.classes.acquire(class) }
    }

    fn acquire_set(&mut self, isolation: Option<&Isolation>) -> u32 {
        let Some(isolation) = isolation else { return 0 };
        let is_refused = self.refused.contains(&isolation.set);
        let number = if is_refused { NOTHING } else { self.set_numbers.acquire(&isolation.set) };
        number | if isolation.audit { Policing::AUDIT } else { 0 }
    }

    fn release(&mut self, policing: Policing, difference: &mut Difference) {
        if let Some(class) = self.classes.release(policing.class) {
            self.classes_having.remove(policing.class, mentions(&class));
            let asking = self.sets_asking.sharing(mentions(&class));
            difference.pairs_went.extend(asking.into_iter().map(|set| (set, policing.class)));
        }
        for set in [policing.ingress, policing.egress] {
            let number = set & !Policing::AUDIT;
            if self.set_numbers.release(number).is_some() {
                difference.sets_went.insert(number);
            }
        }
    }

    /// The set of a number and content, by the numbers that policies have or would have.
    pub(super) fn set(
        number: u32,
        content: &SetContent,
        policies: &Policies,
        mut name: impl FnMut(&PolicyRef) -> Option<u32>,
    ) -> Option<Set> {
        let rules = content.rules.iter().filter_map(|id| policies.rules_of(*id));
        let named: Option<Vec<_>> = rules.map(|rules| Some((name(&rules.policy)?, rules))).collect();
        Some(Set::new(number, content, named?.into_iter()))
    }

    /// Finds the rules of sets that came, and forgets those of sets that went.
    fn settle(&mut self, policies: &Policies, difference: &mut Difference) {
        for (number, content) in self.set_numbers.take_fresh() {
            let set = Self::set(number, &content, policies, |policy| Some(self.names.acquire(policy)));
            let Some(set) = set else { continue };
            self.sets_asking.insert(number, set.mentions());
            self.sets.insert(number, set);
            difference.sets_came.insert(number);
        }
        for (number, class) in self.classes.take_fresh() {
            self.classes_having.insert(number, mentions(&class));
            difference.classes_came.insert(number);
        }
        for number in &difference.sets_went {
            let Some(set) = self.sets.remove(number) else { continue };
            self.sets_asking.remove(*number, set.mentions());
            for SetPolicy { policy, .. } in set.policies() {
                if self.names.release(policy).is_some() {
                    difference.names_went.insert(policy);
                }
            }
        }
        // Names stay in use by sets that came.
        difference.names_went.retain(|name| self.names.get(*name).is_none());
    }

    /// What the tables need for the sets and classes that came, by set.
    pub(super) fn entries(&self, difference: &Difference) -> BTreeMap<u32, SetEntries> {
        let mut by_set: BTreeMap<u32, SetEntries> = BTreeMap::new();
        for number in &difference.sets_came {
            let Some(set) = self.sets.get(number) else { continue };
            let entries = by_set.entry(*number).or_default();
            entries.policies = set.policies().collect();
            let numbers = entries.policies.iter().map(|it| it.policy);
            entries.names = numbers.filter_map(|number| Some((number, self.names.get(number)?.clone()))).collect();
            entries.rules = set.entries_of_everybody();
            for class in self.classes_having.sharing(set.mentions()) {
                entries.rules.extend(self.pair(set, class));
            }
        }
        for class in &difference.classes_came {
            let Some(content) = self.classes.get(*class) else { continue };
            for number in self.sets_asking.sharing(mentions(content)) {
                if let Some(set) = self.sets.get(&number).filter(|_| !difference.sets_came.contains(&number)) {
                    by_set.entry(number).or_default().rules.extend(self.pair(set, *class));
                }
            }
        }
        by_set
    }

    fn pair(&self, set: &Set, class: u32) -> Vec<(RulePrefix, Rule)> {
        self.classes.get(class).map(|content| set.entries(class, content)).unwrap_or_default()
    }

    /// There is no room for a set. Until [`Wanted::take_in`] has taken in the addresses that have it, it is as it was.
    pub(super) fn refuse(&mut self, set: u32) {
        if let Some(content) = self.set_numbers.get(set) {
            self.refused.insert(content.clone());
        }
    }
}
