//! Policies by the names people gave them, from the numbers that the tables have.

use std::collections::BTreeMap;
use std::fmt;

use proxy_common::tables::{Policing, PolicyName, Rule, SetPolicy};
use serde::Serialize;

use crate::dataplane::ebpf::read::{Pinned, ReadError};
use crate::model;
use crate::plan::policy_name;

/// Name of a NetworkPolicy.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
pub(super) struct PolicyRef {
    pub(super) namespace: String,
    pub(super) name: String,
}

impl PolicyRef {
    /// One whose name isn't in the tables any more.
    fn unknown() -> Self {
        Self { namespace: "<unknown>".into(), name: "<unknown>".into() }
    }
}

impl From<&PolicyName> for PolicyRef {
    fn from(entry: &PolicyName) -> Self {
        let named = |policy: model::PolicyRef| Self { namespace: policy.namespace, name: policy.name };
        policy_name(entry).map_or_else(Self::unknown, named)
    }
}

impl fmt::Display for PolicyRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// A rule of a NetworkPolicy.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
pub(super) struct RuleRef {
    #[serde(flatten)]
    pub(super) policy: PolicyRef,
    /// Its place in the policy's `spec`: `ingress[0]`.
    pub(super) rule: String,
}

impl fmt::Display for RuleRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.rule, self.policy)
    }
}

/// The direction that a rule is about.
pub(super) const fn direction(rule: Rule) -> Direction {
    if rule.index & Rule::EGRESS == 0 { Direction::Ingress } else { Direction::Egress }
}

/// A rule's place in the `spec` of its policy.
pub(super) fn place(rule: Rule) -> String {
    let list = match direction(rule) {
        Direction::Ingress => "ingress",
        Direction::Egress => "egress",
    };
    format!("{list}[{}]", rule.index & !Rule::EGRESS)
}

/// A direction of `policyTypes`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
pub(super) enum Direction {
    Ingress,
    Egress,
}

impl Direction {
    pub(super) const ALL: [Self; 2] = [Self::Ingress, Self::Egress];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Ingress => "Ingress",
            Self::Egress => "Egress",
        }
    }

    /// The set that isolates a pod in this direction, with [`Policing::AUDIT`]; 0 where none does.
    pub(super) const fn set(self, policing: &Policing) -> u32 {
        match self {
            Self::Ingress => policing.ingress,
            Self::Egress => policing.egress,
        }
    }
}

/// What the numbers of policies and sets mean.
pub(super) struct Policies {
    /// By number.
    pub(super) names: BTreeMap<u32, PolicyRef>,
    sets: BTreeMap<u32, Vec<u32>>,
}

impl Policies {
    pub(super) fn read(pinned: &Pinned) -> Result<Self, ReadError> {
        let mut sets = BTreeMap::<u32, Vec<u32>>::new();
        for SetPolicy { set, policy } in pinned.policies.set_policies.keys()? {
            sets.entry(set).or_default().push(policy);
        }
        let names = pinned.policies.names.entries()?;
        Ok(Self { names: names.iter().map(|(id, name)| (*id, name.into())).collect(), sets })
    }

    /// The numbers of the policies a set is made of; `set` may have [`Policing::AUDIT`].
    pub(super) fn of_set(&self, set: u32) -> &[u32] {
        self.sets.get(&(set & !Policing::AUDIT)).map(Vec::as_slice).unwrap_or_default()
    }

    /// Their names, sorted.
    pub(super) fn names_of_set(&self, set: u32) -> Vec<PolicyRef> {
        let mut names: Vec<_> = self.of_set(set).iter().map(|policy| self.name(*policy)).collect();
        names.sort();
        names
    }

    pub(super) fn rule(&self, rule: Rule) -> RuleRef {
        RuleRef { policy: self.name(rule.policy), rule: place(rule) }
    }

    fn name(&self, policy: u32) -> PolicyRef {
        self.names.get(&policy).cloned().unwrap_or_else(PolicyRef::unknown)
    }
}
