//! Rules of Services among those that the tools print.

use std::collections::BTreeSet;

use proxy_common::addr::Family;

use super::change::{Present, delete, insert};
use super::fixed::{self, DISPATCHERS, NODE_PORTS};
use super::names::is_of_a_port;
use crate::dataplane::iptables::error::Error;
use crate::dataplane::iptables::restore::{Restore, Table};
use crate::dataplane::iptables::save::Saved;

/// What there is in one family.
#[derive(Debug)]
pub(super) struct Found([(Table, Saved); 2]);

impl Found {
    /// Asks for it.
    ///
    /// # Errors
    /// A tool fails.
    pub(super) fn read(family: Family) -> Result<Self, Error> {
        let read = |table| Ok((table, Saved::read(family, table)?));
        Ok(Self([read(Table::Nat)?, read(Table::Filter)?]))
    }

    /// What there is of Services.
    pub(super) fn present(&self) -> Present {
        let mut present = Present::default();
        for (table, saved) in &self.0 {
            for (chain, rules) in &saved.chains {
                if DISPATCHERS.contains(&(*table, chain)) {
                    add_dispatcher(&mut present, *table, rules);
                } else if is_of_a_port(chain) || fixed::is_ours(chain) {
                    present.chain(*table, chain, rules);
                }
            }
        }
        present
    }

    /// The chains of entries that there aren't.
    pub(super) fn missing_dispatchers(&self) -> Restore {
        let mut restore = Restore::default();
        for (table, saved) in &self.0 {
            let of_table = DISPATCHERS.iter().filter(|(of, _)| of == table);
            for (_, chain) in of_table.filter(|(_, chain)| !saved.chains.contains_key(*chain)) {
                restore.push(*table, format!(":{chain} - [0:0]"));
            }
        }
        restore
    }

    /// What makes the jumps to our chains be as they should. Where one is put in front of a chain, jumps of ours that are not
    /// Services' (policies') come before it again: what they refuse is not to be accepted here.
    pub(super) fn jumps(&self) -> Restore {
        let mut restore = Restore::default();
        for (table, saved) in &self.0 {
            let wanted: Vec<_> = fixed::jumps(*table).collect();
            for chain in wanted.iter().map(|(chain, _)| *chain).collect::<BTreeSet<_>>() {
                let wanted: Vec<_> = wanted.iter().filter(|(of, _)| *of == chain).map(|(_, rule)| rule).collect();
                let in_chain = saved.jumps.iter().filter(|rule| chain_of(rule) == chain);
                let (present, others): (Vec<_>, Vec<_>) = in_chain.partition(|rule| is_of_services(rule));
                if present == wanted {
                    continue;
                }
                for rule in present.iter().chain(&others) {
                    restore.push(*table, delete(rule));
                }
                for rule in others.into_iter().chain(wanted).rev() {
                    restore.push(*table, insert(rule));
                }
            }
        }
        restore
    }
}

/// What leads to node ports is the end of a chain; where something stands behind it, it has to be written again.
fn add_dispatcher(present: &mut Present, table: Table, rules: &[String]) {
    let leads_to_node_ports = |rule: &&String| target(rule) == NODE_PORTS;
    let last = rules.iter().rev().take_while(leads_to_node_ports).count();
    let (entries, last) = rules.split_at(rules.len() - last);
    present.entries.extend(entries.iter().map(|rule| (table, rule.clone())));
    present.last.extend(last.iter().map(|rule| (table, rule.clone())));
}

fn is_of_services(jump: &str) -> bool {
    fixed::is_ours(target(jump))
}

fn chain_of(rule: &str) -> &str {
    rule.split(' ').nth(1).unwrap_or_default()
}

fn target(rule: &str) -> &str {
    rule.rsplit_once(" -j ").and_then(|(_, target)| target.split(' ').next()).unwrap_or_default()
}
