//! What there is no room for. It is told, tried again when entries go, and never more open for it.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::net::IpAddr;

use super::PolicyPlan;
use super::wanted::SetEntries;
use crate::model::{Policies, PolicyRef, Standing};

impl PolicyPlan {
    /// `standing`, unless it is a pod's elsewhere that there is no room for: of that, only blocks tell.
    pub(super) fn admit(&mut self, ip: IpAddr, standing: Option<Standing>, coming: &mut usize) -> Option<Standing> {
        self.refused_addresses.remove(&ip);
        let standing = standing?;
        if self.image.identities.contains_key(&ip.into()) {
            return Some(standing);
        }
        if !standing.local && !self.has_room_elsewhere(*coming) {
            self.refused_addresses.insert(ip);
            return None;
        }
        *coming += 1;
        Some(standing)
    }

    pub(super) fn has_room_elsewhere(&self, coming: usize) -> bool {
        self.image.identities.len() + coming < self.limits.identities_elsewhere
    }

    pub(super) fn has_room(&self, entries: &BTreeMap<u32, SetEntries>) -> bool {
        let new_names: BTreeSet<u32> = entries.values().flat_map(|it| it.names.iter().map(|(name, _)| *name)).collect();
        let names = new_names.iter().filter(|name| !self.image.names.contains_key(name)).count();
        let rules = entries.values().flat_map(|it| &it.rules);
        let rules = rules.filter(|(rule, _)| !self.image.rules.contains_key(rule)).count();
        let policies = entries.values().flat_map(|it| &it.policies);
        let set_policies = policies.filter(|policy| !self.image.set_policies.contains(policy)).count();
        // Refusing brings nothing where nothing comes.
        rules + set_policies == 0
            || (self.image.rules.len() + rules <= self.limits.rules
                && self.image.set_policies.len() + set_policies <= self.limits.set_policies
                && self.image.names.len() + names <= self.limits.names)
    }

    /// Forgets that there was no room for sets that nobody asks for.
    pub(super) fn forget_refused(&mut self, policies: &Policies) {
        if self.wanted.refused.is_empty() {
            return;
        }
        let standings = policies.local_addresses().filter_map(|ip| policies.standing(ip));
        let asked: HashSet<_> =
            standings.flat_map(|it| [it.ingress, it.egress]).flatten().map(|isolation| isolation.set).collect();
        self.wanted.refused.retain(|set| asked.contains(set));
    }

    /// Each thing that there is no room for, by what asked for it.
    pub(super) fn refusals(&self, policies: &Policies) -> Vec<String> {
        let list = |names: BTreeSet<&PolicyRef>| {
            let names: Vec<String> = names.into_iter().map(ToString::to_string).collect();
            names.join(", ")
        };
        let sets = self.wanted.refused.iter().map(|set| {
            let names = set.rules.iter().filter_map(|id| policies.rules_of(*id)).map(|rules| &rules.policy).collect();
            format!(
                "NetworkPolicies {} together: no room for their {:?} rules, so the Pods that they isolate are allowed \
                 nothing; use fewer rules, or wider ones",
                list(names),
                set.direction
            )
        });
        let blocks = policies.refused_blocks().map(|(cidr, names)| {
            format!(
                "NetworkPolicies {}: no room for ipBlock {cidr}, which holds no address; use fewer CIDRs, or wider ones",
                list(names)
            )
        });
        let mut refusals: Vec<String> = sets.chain(blocks).collect();
        if !self.refused_addresses.is_empty() {
            refusals.push(format!(
                "{} addresses of Pods elsewhere: no room for them in IDENTITIES, so no selector selects them; use \
                 narrower selectors as peers",
                self.refused_addresses.len()
            ));
        }
        refusals.sort();
        refusals
    }
}
