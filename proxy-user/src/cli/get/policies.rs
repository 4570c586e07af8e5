//! `sluice get policies`: one row for each NetworkPolicy that isolates a pod of this node.

use std::collections::{BTreeMap, BTreeSet};

use proxy_common::addr::Addr;
use proxy_common::tables::{Identity, Policing, Rule};
use serde::Serialize;

use super::Row;
use crate::cli::names::{Filter, non_empty};
use crate::cli::policies::{Direction, Policies, PolicyRef, direction, place};
use crate::dataplane::ebpf::read::{Pinned, ReadError};
use crate::status::AgentStatus;

#[derive(Serialize, PartialEq, Eq, Debug)]
#[serde(rename_all = "camelCase")]
pub(super) struct PolicyRow {
    #[serde(flatten)]
    policy: PolicyRef,
    id: u32,
    /// The directions that it isolates pods of this node in.
    directions: BTreeSet<Direction>,
    /// `Enforce`, or `Audit`: what it doesn't allow is reported, and passes. Absent while it isolates nobody here.
    #[serde(skip_serializing_if = "Option::is_none")]
    mode: Option<&'static str>,
    /// The pods of this node that it isolates: `namespace/name`, or an address that no Pod is known to have.
    pods: BTreeSet<String>,
    /// Those of its rules that allow somebody something.
    rules: Vec<RuleRow>,
    /// Sum of the rules'.
    hits: u64,
}

#[derive(Serialize, PartialEq, Eq, Debug)]
struct RuleRow {
    /// Its place in the policy's `spec`: `ingress[0]`.
    rule: String,
    /// Entries of the table of rules. What two rules allow alike stands there once, under one of them.
    entries: u64,
    /// Verdicts that it allowed.
    hits: u64,
}

/// How the pods of this node use a policy.
#[derive(Default)]
struct Use {
    directions: BTreeSet<Direction>,
    enforced: bool,
    pods: BTreeSet<String>,
}

/// The policies asked for, in the order of their names.
pub(super) fn read(
    pinned: &Pinned,
    agent: Option<&AgentStatus>,
    filter: Filter<'_>,
) -> Result<Vec<PolicyRow>, ReadError> {
    let policies = Policies::read(pinned)?;
    let mut uses = uses(&policies, &pinned.policies.identities.entries()?, pinned.policies.generation()?, agent);
    let mut rules = BTreeMap::<Rule, (u64, u64)>::new();
    for (rule, hits) in pinned.policies.rule_hits()? {
        rules.entry(rule).or_default().1 = hits;
    }
    for (_, _, rule) in pinned.policies.rules.entries()? {
        rules.entry(rule).or_default().0 += 1;
    }
    let asked_for = policies.names.iter().filter(|(_, name)| filter.takes_named(&name.namespace, &name.name));
    let mut rows: Vec<_> = asked_for
        .map(|(id, name)| {
            let of_policy = Rule { policy: *id, index: 0 }..=Rule { policy: *id, index: u32::MAX };
            PolicyRow::new(*id, name, uses.remove(id).unwrap_or_default(), rules.range(of_policy))
        })
        .collect();
    rows.sort_by(|a, b| a.policy.cmp(&b.policy));
    Ok(rows)
}

fn uses(
    policies: &Policies,
    identities: &BTreeMap<Addr, Identity>,
    generation: u32,
    agent: Option<&AgentStatus>,
) -> BTreeMap<u32, Use> {
    let mut of_policies = BTreeMap::<u32, Use>::new();
    for (addr, identity) in identities.iter().filter(|(_, identity)| identity.is_local()) {
        let pod = agent.and_then(|agent| agent.pod_at((*addr).into()));
        let pod = pod.map_or_else(|| addr.to_string(), ToString::to_string);
        let policing = identity.at(generation);
        for direction in Direction::ALL {
            let set = direction.set(&policing);
            for policy in policies.of_set(set) {
                let of_policy = of_policies.entry(*policy).or_default();
                of_policy.directions.insert(direction);
                of_policy.enforced |= set & Policing::AUDIT == 0;
                of_policy.pods.insert(pod.clone());
            }
        }
    }
    of_policies
}

impl PolicyRow {
    fn new<'a>(
        id: u32,
        policy: &PolicyRef,
        used: Use,
        rules: impl Iterator<Item = (&'a Rule, &'a (u64, u64))>,
    ) -> Self {
        let Use { mut directions, enforced, pods } = used;
        let rule = |(rule, (entries, hits)): (&Rule, &(u64, u64))| {
            directions.insert(direction(*rule));
            RuleRow { rule: place(*rule), entries: *entries, hits: *hits }
        };
        let rules: Vec<_> = rules.map(rule).collect();
        let mode = (!pods.is_empty()).then_some(if enforced { "Enforce" } else { "Audit" });
        let hits = rules.iter().map(|rule| rule.hits).sum();
        Self { policy: policy.clone(), id, directions, mode, pods, rules, hits }
    }
}

impl Row for PolicyRow {
    const LIST_KIND: &'static str = "PolicyList";
    const COLUMNS: &'static [&'static str] = &["NAMESPACE", "NAME", "DIRECTIONS", "PODS", "RULES", "ENTRIES", "HITS"];
    const WIDE_COLUMNS: &'static [&'static str] = &["MODE", "RULE-HITS", "ID"];

    fn cells(&self) -> Vec<String> {
        let directions: Vec<_> = self.directions.iter().map(|direction| direction.name()).collect();
        let entries: u64 = self.rules.iter().map(|rule| rule.entries).sum();
        let hits: Vec<_> = self.rules.iter().map(|rule| format!("{}={}", rule.rule, rule.hits)).collect();
        vec![
            self.policy.namespace.clone(),
            self.policy.name.clone(),
            non_empty(directions.join(",")),
            self.pods.len().to_string(),
            self.rules.len().to_string(),
            entries.to_string(),
            self.hits.to_string(),
            non_empty(self.mode.unwrap_or_default().into()),
            non_empty(hits.join(",")),
            self.id.to_string(),
        ]
    }
}
