//! Rules as they should be, rules as they are, and what leads from these to those.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use crate::dataplane::iptables::restore::{Restore, Table};

/// A chain of a table.
pub(super) type Chain = (Table, String);

/// Rules as they should be, of some Service ports or of all.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Wanted {
    chains: BTreeMap<Chain, Vec<String>>,
    entries: BTreeSet<(Table, String)>,
    last: Vec<(Table, String)>,
}

impl Wanted {
    /// A chain of its own, with no rule yet.
    pub(super) fn chain(&mut self, table: Table, chain: &str) {
        self.chains.entry((table, chain.to_owned())).or_default();
    }

    /// One more rule of a chain.
    pub(super) fn rule(&mut self, table: Table, chain: &str, rule: &str) {
        self.chains.entry((table, chain.to_owned())).or_default().push(format!("-A {chain} {rule}"));
    }

    /// A rule among others of a chain, wherever it stands.
    pub(super) fn entry(&mut self, table: Table, chain: &str, rule: &str) {
        self.entries.insert((table, format!("-A {chain} {rule}")));
    }

    /// One more rule at the end of a chain of entries.
    pub(super) fn last(&mut self, table: Table, chain: &str, rule: &str) {
        self.last.push((table, format!("-A {chain} {rule}")));
    }

    /// Takes in what else there should be.
    pub(super) fn extend(&mut self, other: Self) {
        self.chains.extend(other.chains);
        self.entries.extend(other.entries);
        self.last.extend(other.last);
    }

    /// What there is once this is in force.
    pub(super) fn present(&self) -> Present {
        let mut present = Present { entries: self.entries.clone(), last: self.last.clone(), ..Present::default() };
        for ((table, chain), rules) in &self.chains {
            present.chain(*table, chain, rules);
        }
        present
    }

    /// What is to be done where `present` is, and all of what is in it is to be as it is here.
    pub(super) fn changes(&self, present: &Present) -> Restore {
        let mut restore = Restore::default();
        let is_there = |(chain, rules): &(&Chain, &Vec<String>)| present.chains.get(chain) == Some(&hash(rules));
        let written: Vec<_> = self.chains.iter().filter(|it| !is_there(it)).collect();
        let gone: Vec<_> = present.chains.keys().filter(|chain| !self.chains.contains_key(chain)).collect();
        for (table, chain) in written.iter().map(|(chain, _)| *chain).chain(gone.iter().copied()) {
            restore.push(*table, format!(":{chain} - [0:0]"));
        }
        for ((table, _), rules) in written {
            for rule in rules {
                restore.push(*table, rule);
            }
        }
        for (table, rule) in present.entries.difference(&self.entries) {
            restore.push(*table, delete(rule));
        }
        if self.last != present.last {
            for (table, rule) in &present.last {
                restore.push(*table, delete(rule));
            }
            for (table, rule) in &self.last {
                restore.push(*table, rule);
            }
        }
        for (table, rule) in self.entries.difference(&present.entries) {
            restore.push(*table, insert(rule));
        }
        for (table, chain) in gone {
            restore.push(*table, format!("-X {chain}"));
        }
        restore
    }
}

/// Rules as they are: of a chain, what tells it from another.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Present {
    chains: BTreeMap<Chain, u64>,
    /// Rules among others, as printed.
    pub(super) entries: BTreeSet<(Table, String)>,
    /// Rules at the end of chains of entries.
    pub(super) last: Vec<(Table, String)>,
}

impl Present {
    /// One more chain.
    pub(super) fn chain(&mut self, table: Table, chain: &str, rules: &[String]) {
        self.chains.insert((table, chain.to_owned()), hash(rules));
    }

    /// Takes in what else there is.
    pub(super) fn extend(&mut self, other: Self) {
        self.chains.extend(other.chains);
        self.entries.extend(other.entries);
        self.last.extend(other.last);
    }
}

/// Whether two chains are the same: what is kept of a chain of many, instead of its rules.
fn hash(rules: &[String]) -> u64 {
    let mut hasher = DefaultHasher::new();
    rules.hash(&mut hasher);
    hasher.finish()
}

/// The command that takes a rule out.
pub(super) fn delete(rule: &str) -> String {
    rule.replacen("-A ", "-D ", 1)
}

/// The command that puts a rule in front of its chain.
pub(super) fn insert(rule: &str) -> String {
    rule.replacen("-A ", "-I ", 1)
}
