//! From the policy tables as they are to the tables as they should be.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use proxy_common::addr::Addr;
use proxy_common::tables::{Block, SetPolicy};

use super::limits::Limits;
use super::name::to_table;
use super::pod_network::pod_network;
use super::standing::{Now, Transition};
use super::wanted::{Difference, SetEntries, Wanted};
use super::{PolicyImage, PolicyWrite, RulePrefix};
use crate::model::{Changes, Policies, Prefix, Standing};

/// What the policy tables hold, and the numbers in them.
///
/// A reader judges by one generation, so all it must not see before the next one begins stands beside what holds: rules and
/// names under numbers that nobody has yet, then what addresses and networks are to be, then one word makes that true, and
/// what nobody refers to any more goes.
#[derive(Debug)]
pub struct PolicyPlan {
    pub(super) image: PolicyImage,
    hold_unknown: bool,
    pub(super) limits: Limits,
    /// `BLOCKS`, in the order of addresses.
    blocks: BTreeMap<Prefix, Block>,
    pub(super) wanted: Wanted,
    /// The tables were only adopted yet.
    adopted: bool,
    /// Addresses of pods elsewhere that there was no room for.
    pub(super) refused_addresses: BTreeSet<IpAddr>,
    refused: Vec<String>,
    writes: Vec<PolicyWrite>,
}

impl PolicyPlan {
    /// Starts from what the tables hold: `image`, as an earlier agent left it at whatever moment. `hold_unknown`: an address
    /// of this node's pod ranges that no Pod has is neither served nor heard.
    #[must_use]
    pub fn adopt(image: PolicyImage, hold_unknown: bool) -> Self {
        Self::with_limits(image, hold_unknown, Limits::default())
    }

    pub(super) fn with_limits(image: PolicyImage, hold_unknown: bool, limits: Limits) -> Self {
        Self {
            blocks: image.blocks.iter().map(|(prefix, block)| ((*prefix).into(), *block)).collect(),
            wanted: Wanted::above_all_of(&image),
            image,
            hold_unknown,
            limits,
            adopted: true,
            refused_addresses: BTreeSet::new(),
            refused: Vec::new(),
            writes: Vec::new(),
        }
    }

    /// Leads the tables to what `policies` has by now. Returns the writes, which are to be carried out in this order; none
    /// where nothing changed.
    pub fn update(&mut self, policies: &mut Policies) -> Vec<PolicyWrite> {
        let mut changes = policies.take_changes();
        if self.adopted {
            self.wanted.recognise(policies, &self.image);
            changes = self.all_there_is(policies);
        }
        let rules = self.image.rules.len();
        self.lead_to(policies, changes);
        // What went may have made room for what was refused.
        if !self.wanted.refused.is_empty() && self.image.rules.len() < rules {
            self.wanted.refused.clear();
            let addresses = policies.local_addresses().collect();
            self.lead_to(policies, Changes { addresses, ..Changes::default() });
        }
        self.forget_refused(policies);
        self.refused = self.refusals(policies);
        std::mem::take(&mut self.writes)
    }

    /// What the tables hold once every write returned so far is carried out.
    #[must_use]
    pub fn image(&self) -> &PolicyImage {
        &self.image
    }

    /// What there is no room for, each naming the object and what became of it.
    pub fn refused(&self) -> impl Iterator<Item = String> + '_ {
        self.refused.iter().cloned()
    }

    /// What the objects are about, and what the tables found are about.
    fn all_there_is(&self, policies: &Policies) -> Changes {
        let mut all = policies.everything();
        all.addresses.extend(self.image.identities.keys().copied().map(IpAddr::from));
        all.networks.extend(self.blocks.keys());
        all
    }

    fn lead_to(&mut self, policies: &Policies, mut changes: Changes) {
        if self.has_room_elsewhere(0) {
            changes.addresses.append(&mut self.refused_addresses);
        }
        let (difference, entries) = self.want(policies, &mut changes);
        let now = Now::of(&self.image, pod_network(policies, &self.wanted, self.hold_unknown));
        let addresses = changes.addresses.into_iter().map(Addr::from);
        let transitions: Vec<_> =
            addresses.filter_map(|addr| Transition::of(addr, &now, &self.image, &self.blocks, &self.wanted)).collect();
        let networks = self.changed_networks(&changes.networks);
        let begins = now.begins_hold()
            || transitions.iter().any(Transition::needs_generation)
            || networks.iter().any(|(_, last, next)| last != next);
        let generation = self.image.generation;
        let since = if begins { generation.wrapping_add(1) } else { generation };

        self.put_entries(entries);
        self.push(PolicyWrite::PutPodNetwork(now.policed_early()));
        for transition in &transitions {
            if let Some(identity) = transition.identity(since, begins) {
                self.push(PolicyWrite::PutIdentity(transition.addr, identity));
            }
        }
        for (prefix, last, next) in networks {
            self.push(PolicyWrite::PutBlock(prefix.into(), Block { since, last, next }));
        }
        self.push(PolicyWrite::PutPodNetwork(now.held_early()));
        if begins {
            self.push(PolicyWrite::SetGeneration(since));
        }
        self.push(PolicyWrite::PutPodNetwork(now.after));
        for transition in &transitions {
            match transition.settled(since, begins) {
                Some(identity) => self.push(PolicyWrite::PutIdentity(transition.addr, identity)),
                None => self.push(PolicyWrite::DeleteIdentity(transition.addr)),
            }
        }
        for prefix in &changes.networks {
            if !self.wanted.networks().contains_key(prefix) {
                self.push(PolicyWrite::DeleteBlock((*prefix).into()));
            }
        }
        self.delete_entries(&difference);
        if std::mem::take(&mut self.adopted) {
            self.delete_strays();
            self.wanted.end_finding();
        }
    }

    /// Takes in what addresses and networks are by now, and finds the entries that it takes. What there is no room for
    /// allows nothing.
    fn want(&mut self, policies: &Policies, changes: &mut Changes) -> (Difference, BTreeMap<u32, SetEntries>) {
        let mut difference = Difference::default();
        let mut coming = 0;
        let standings: Vec<(Addr, Option<Standing>)> = changes
            .addresses
            .iter()
            .map(|ip| (Addr::from(*ip), self.admit(*ip, policies.standing(*ip), &mut coming)))
            .collect();
        let networks = changes.networks.iter().copied();
        self.wanted.take_in(policies, standings.into_iter(), networks, &mut difference);
        loop {
            let entries = self.wanted.entries(&difference);
            if self.has_room(&entries) {
                return (difference, entries);
            }
            let largest = entries.iter().max_by_key(|(_, entries)| entries.rules.len() + entries.policies.len());
            let Some((set, _)) = largest else { return (difference, entries) };
            self.wanted.refuse(*set);
            let local = policies.local_addresses().map(|ip| (ip.into(), policies.standing(ip)));
            changes.addresses.extend(policies.local_addresses());
            self.wanted.take_in(policies, local, std::iter::empty(), &mut difference);
        }
    }

    /// Networks whose class changes or that have an entry from now on: with the class that held and the one that is to.
    fn changed_networks(&self, networks: &BTreeSet<Prefix>) -> Vec<(Prefix, u32, u32)> {
        let generation = self.image.generation;
        let changed = |prefix: &Prefix| {
            let (held, wanted) = (self.blocks.get(prefix), self.wanted.networks().get(prefix));
            let last = prefix.longest(&self.blocks).map_or(0, |(_, block)| block.at(generation));
            let next = prefix.longest(self.wanted.networks()).map_or(0, |(_, class)| *class);
            let comes = held.is_none() && wanted.is_some();
            // A writer may have ended before the generation began that it wrote of.
            let pending = held.is_some_and(|block| block.at(generation.wrapping_add(1)) != block.at(generation));
            let changes = held.is_some() && (last != next || pending);
            (comes || changes).then_some((*prefix, last, next))
        };
        networks.iter().filter_map(changed).collect()
    }

    fn put_entries(&mut self, entries: BTreeMap<u32, SetEntries>) {
        let (mut policies, mut rules) = (Vec::new(), Vec::new());
        for entries in entries.into_values() {
            for (number, name) in entries.names {
                self.push(PolicyWrite::PutName(number, Box::new(to_table(&name))));
            }
            policies.extend(entries.policies);
            rules.extend(entries.rules);
        }
        for policy in policies {
            self.push(PolicyWrite::PutSetPolicy(policy));
        }
        for (key, rule) in rules {
            self.push(PolicyWrite::PutRule(key, rule));
        }
    }

    fn delete_entries(&mut self, difference: &Difference) {
        let of_sets = difference.sets_went.iter().flat_map(|set| self.image.rules_of_set(*set));
        let of_pairs = difference.pairs_went.iter().flat_map(|(set, class)| self.image.rules_of(*set, *class));
        let rules = of_sets.chain(of_pairs).map(|(rule, _)| *rule).collect();
        let policies = difference.sets_went.iter().flat_map(|set| self.image.policies_of(*set)).collect();
        self.delete(rules, policies, difference.names_went.iter().copied().collect());
    }

    /// What an earlier agent left, and nobody asks for.
    fn delete_strays(&mut self) {
        let wanted = &self.wanted;
        let is_stray = |rule: &&RulePrefix| !wanted.has_set(rule.key.set) || !wanted.has_class(rule.key.class);
        let rules = self.image.rules.keys().filter(is_stray).copied().collect();
        let policies = self.image.set_policies.iter().filter(|it| !wanted.has_set(it.set)).copied().collect();
        let names = self.image.names.keys().filter(|name| wanted.names.get(**name).is_none()).copied().collect();
        self.delete(rules, policies, names);
    }

    fn delete(&mut self, rules: Vec<RulePrefix>, policies: Vec<SetPolicy>, names: Vec<u32>) {
        for rule in rules {
            self.push(PolicyWrite::DeleteRule(rule));
        }
        for policy in policies {
            self.push(PolicyWrite::DeleteSetPolicy(policy));
        }
        for name in names {
            self.push(PolicyWrite::DeleteName(name));
        }
    }

    /// Carries out a write that changes something.
    fn push(&mut self, write: PolicyWrite) {
        if self.image.holds(&write) {
            return;
        }
        self.image.apply(&write);
        match &write {
            PolicyWrite::PutBlock(prefix, block) => drop(self.blocks.insert((*prefix).into(), *block)),
            PolicyWrite::DeleteBlock(prefix) => drop(self.blocks.remove(&(*prefix).into())),
            _ => {}
        }
        self.writes.push(write);
    }
}

#[cfg(test)]
mod tests;
