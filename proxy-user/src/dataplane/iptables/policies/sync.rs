//! Has the kernel hold the rules of policies.

use std::collections::{BTreeMap, BTreeSet};

use proxy_common::addr::Family;

use super::NAMES;
use super::bridge;
use super::chains::Chains;
use super::peers::edits;
use super::rules::{PolicyRules, Wishes};
use crate::dataplane::iptables::error::Error;
use crate::dataplane::iptables::ipset;
use crate::dataplane::iptables::restore::{Restore, Table};
use crate::dataplane::iptables::rules::Rules;
use crate::dataplane::iptables::save::Saved;
use crate::plan::{PolicyImage, PolicyWrite};

/// Where packets that the node sends on come to our chains. First of all, as others let them pass there.
const JUMP: &str = "-A FORWARD -j SLUICE-NP";

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
        let wishes = Wishes { families: &self.families, pods, reject: self.policies.reject };
        self.policies.doomed.retain(|set| ipset::destroy(set).is_err());
        let step = match (writes, self.policies.held.take()) {
            (Some(writes), Some(held)) => Step::from_held(held, image, writes, &wishes),
            _ => Step::from_kernel(image, &wishes)?,
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
struct Step {
    rules: PolicyRules,
    sets: ipset::Changes,
    chains: BTreeMap<Family, Restore>,
    doomed: BTreeSet<String>,
}

impl Step {
    fn from_held(mut rules: PolicyRules, image: &PolicyImage, writes: &[PolicyWrite], wishes: &Wishes<'_>) -> Self {
        let (old, asked) = rules.take_rendered();
        let edits = rules.update(image, writes, wishes);
        let mut sets = ipset::Changes::default();
        for (set, members) in rules.sets() {
            if !asked.contains(&set) {
                sets.make(set, set.family(), members);
            } else if let Some(edits) = edits.get(&set) {
                sets.edit(set, set.family(), edits, members);
            }
        }
        let is_asked: BTreeSet<_> = rules.sets().map(|(set, _)| set).collect();
        let doomed: BTreeSet<String> = asked.difference(&is_asked).map(ToString::to_string).collect();
        doomed.iter().for_each(|set| sets.empty(set));
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
    fn from_kernel(image: &PolicyImage, wishes: &Wishes<'_>) -> Result<Self, Error> {
        let rules = PolicyRules::wished(image, wishes);
        let saved = ipset::saved()?;
        let mut sets = ipset::Changes::default();
        let mut doomed: BTreeSet<String> = saved.keys().filter(|set| set.starts_with(NAMES)).cloned().collect();
        for (set, members) in rules.sets() {
            let name = set.to_string();
            match saved.get(&name) {
                Some(saved) => sets.edit(set, set.family(), &edits(saved, members), members),
                None => sets.make(set, set.family(), members),
            }
            doomed.remove(&name);
        }
        doomed.iter().for_each(|set| sets.empty(set));
        let mut chains = BTreeMap::new();
        for family in wishes.families {
            let Saved { chains: mut old, jumps, .. } = Saved::read(*family, Table::Filter)?;
            old.retain(|chain, _| chain.starts_with(NAMES));
            let mut restore = Restore::default();
            replace(&mut restore, &old, rules.chains(*family));
            jump(&mut restore, &jumps);
            chains.insert(*family, restore);
        }
        Ok(Self { rules, sets, chains, doomed })
    }

    /// Sets that let more in, rules, sets that let less in: no rule asks a set that isn't whole, and a pod that is isolated
    /// is so at every moment.
    fn run(&self) -> Result<(), Error> {
        self.sets.widen()?;
        for (family, restore) in &self.chains {
            restore.run(*family)?;
        }
        self.sets.narrow()
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

/// Has our jump stand once, and before the others of ours.
fn jump(restore: &mut Restore, jumps: &[String]) {
    let forward: Vec<_> = jumps.iter().filter(|rule| rule.starts_with("-A FORWARD ")).collect();
    let ours = forward.iter().filter(|rule| **rule == JUMP).count();
    if ours == 1 && forward.first().is_some_and(|rule| *rule == JUMP) {
        return;
    }
    for _ in 0..ours {
        restore.push(Table::Filter, JUMP.replacen("-A", "-D", 1));
    }
    restore.push(Table::Filter, JUMP.replacen("-A FORWARD", "-I FORWARD 1", 1));
}
