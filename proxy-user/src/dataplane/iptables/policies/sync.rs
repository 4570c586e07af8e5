//! Has the kernel hold the rules of policies.

use std::collections::{BTreeMap, BTreeSet};

use ipnetwork::IpNetwork;
use proxy_common::addr::Family;

use super::bridge;
use super::chains::Chains;
use super::peers::edits;
use super::rules::PolicyRules;
use super::set::{Members, Set};
use super::{FORWARD, INPUT, NAMES};
use crate::dataplane::iptables::error::Error;
use crate::dataplane::iptables::ipset;
use crate::dataplane::iptables::restore::{Restore, Table};
use crate::dataplane::iptables::rules::Rules;
use crate::dataplane::iptables::save::Saved;
use crate::plan::{PolicyImage, PolicyWrite};

/// Where packets that the node sends on, or gets, come to our chains. First of all, as others let them pass there.
const JUMPS: [(&str, &str); 2] = [("FORWARD", FORWARD), ("INPUT", INPUT)];

/// What the kernel is known to hold of policies.
#[derive(Debug, Default)]
pub(in crate::dataplane::iptables) struct Policies {
    /// The sender of what is denied is told.
    reject: bool,
    /// Nothing is known after a failure.
    held: Option<PolicyRules>,
    /// Names of sets that nobody asks any more, and that a rule may have held a moment ago.
    doomed: BTreeSet<String>,
}

impl Rules {
    /// Whether the sender of what policies deny is told: a TCP reset, for all else an ICMP error. From the next sync on.
    pub fn reject_denied(&mut self, reject: bool) {
        if self.policies.reject != reject {
            self.policies = Policies { reject, ..Policies::default() };
        }
    }

    /// Makes the rules of policies be those of `image`, which is the tables after `writes`. `pods` are names of pods'
    /// interfaces by index.
    ///
    /// `writes` are what changed since the last time; `None`, or an error the last time, has all rules and sets compared
    /// with those that there are.
    ///
    /// # Errors
    /// A tool fails, and the next call compares everything. [`Error::Bridge`]: the rules are in force, but not between two
    /// pods of a bridge.
    pub fn sync_policies(
        &mut self,
        image: &PolicyImage,
        writes: Option<&[PolicyWrite]>,
        pods: &BTreeMap<u32, String>,
    ) -> Result<(), Error> {
        self.policies.doomed.retain(|set| ipset::destroy(set).is_err());
        let step = match (writes, self.policies.held.take()) {
            (Some(writes), Some(held)) => Step::from_held(held, image, writes, pods),
            _ => Step::from_kernel(PolicyRules::of(&self.families, self.policies.reject, image, pods), &self.families)?,
        };
        step.run()?;
        self.policies.doomed.extend(step.doomed);
        for (set, _) in step.rules.sets() {
            self.policies.doomed.remove(&set.to_string());
        }
        self.policies.held = Some(step.rules);
        bridge::filter(pods.values())
    }
}

/// From what the kernel holds to what it should.
#[derive(Debug)]
pub(super) struct Step {
    rules: PolicyRules,
    sets: ipset::Changes,
    chains: BTreeMap<Family, Restore>,
    doomed: BTreeSet<String>,
}

impl Step {
    fn from_held(
        mut rules: PolicyRules,
        image: &PolicyImage,
        writes: &[PolicyWrite],
        pods: &BTreeMap<u32, String>,
    ) -> Self {
        let (old, asked) = rules.take_rendered();
        let edits = rules.update(image, writes, pods);
        let mut sets = ipset::Changes::default();
        for (set, members) in rules.sets() {
            if !asked.contains(&set) {
                sets.make(set, set.family(), members);
            } else if let Some(edits) = edits.get(&set) {
                edit(&mut sets, set, edits, members);
            }
        }
        let is_asked: BTreeSet<_> = rules.sets().map(|(set, _)| set).collect();
        let doomed: BTreeSet<String> = asked.difference(&is_asked).map(ToString::to_string).collect();
        for set in &doomed {
            sets.empty(set);
        }
        let mut chains = BTreeMap::new();
        for (family, old) in old {
            let mut restore = Restore::default();
            replace(&mut restore, &old, rules.chains(family));
            chains.insert(family, restore);
        }
        Self { rules, sets, chains, doomed }
    }

    /// # Errors
    /// What the kernel holds can't be read.
    pub(super) fn from_kernel(rules: PolicyRules, families: &[Family]) -> Result<Self, Error> {
        let saved = ipset::saved()?;
        let mut sets = ipset::Changes::default();
        let mut doomed: BTreeSet<String> = saved.keys().filter(|set| set.starts_with(NAMES)).cloned().collect();
        for (set, members) in rules.sets() {
            let name = set.to_string();
            match saved.get(&name) {
                Some(saved) => edit(&mut sets, set, &edits(saved, members), members),
                None => sets.make(set, set.family(), members),
            }
            doomed.remove(&name);
        }
        for set in &doomed {
            sets.empty(set);
        }
        let mut chains = BTreeMap::new();
        for family in families {
            let Saved { chains: mut old, jumps, .. } = Saved::read(*family, Table::Filter)?;
            old.retain(|chain, _| chain.starts_with(NAMES));
            let mut restore = Restore::default();
            replace(&mut restore, &old, rules.chains(*family));
            for (from, to) in JUMPS {
                jump(&mut restore, from, to, &jumps);
            }
            chains.insert(*family, restore);
        }
        Ok(Self { rules, sets, chains, doomed })
    }

    /// The kernel holds what it should.
    #[cfg(test)]
    pub(super) fn is_nothing(&self) -> bool {
        self.sets == ipset::Changes::default() && self.chains.values().all(Restore::is_empty)
    }

    /// Sets that let more in, rules, sets that let less in and who is known: no rule asks a set that isn't whole, and a pod that is isolated
    /// is so at every moment.
    fn run(&self) -> Result<(), Error> {
        self.sets.widen()?;
        for (family, restore) in &self.chains {
            restore.run(*family)?;
        }
        self.sets.narrow()
    }
}

/// Leads a set to its members.
fn edit(sets: &mut ipset::Changes, set: Set, edits: &BTreeMap<IpNetwork, Option<bool>>, members: &Members) {
    match set {
        Set::Known(_) => sets.edit_known(set, edits),
        Set::Class(family, _) => sets.edit(set, family, edits, members),
    }
}

/// Leads chains to what they should be; what is as it should be isn't written.
fn replace(restore: &mut Restore, old: &Chains, new: &Chains) {
    let changed = new.iter().filter(|(chain, rules)| old.get(*chain) != Some(*rules));
    let gone = old.keys().filter(|chain| !new.contains_key(*chain));
    for chain in changed.clone().map(|(chain, _)| chain).chain(gone.clone()) {
        restore.push(Table::Filter, format!(":{chain} - [0:0]"));
    }
    for rule in changed.flat_map(|(_, rules)| rules) {
        restore.push(Table::Filter, rule.clone());
    }
    for chain in gone {
        restore.push(Table::Filter, format!("-X {chain}"));
    }
}

/// Has the jump from a chain of the kernel's stand once, and before the others of ours.
fn jump(restore: &mut Restore, from: &str, to: &str, jumps: &[String]) {
    let wanted = format!("{from} -j {to}");
    let there: Vec<_> = jumps
        .iter()
        .filter_map(|jump| jump.strip_prefix("-A "))
        .filter(|jump| jump.split(' ').next() == Some(from))
        .collect();
    let ours = there.iter().filter(|jump| **jump == wanted).count();
    if ours == 1 && there.first().is_some_and(|jump| *jump == wanted) {
        return;
    }
    for _ in 0..ours {
        restore.push(Table::Filter, format!("-D {wanted}"));
    }
    restore.push(Table::Filter, format!("-I {from} 1 -j {to}"));
}
