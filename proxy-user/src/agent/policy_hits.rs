//! What each NetworkPolicy allowed, from the counts of its rules.

use std::collections::BTreeMap;

use proxy_common::tables::{RULE_HITS, Rule};

use crate::dataplane::Fill;
use crate::dataplane::ebpf::read::{Pinned, ReadError};
use crate::plan::policy_name;
use crate::serve::{Metrics, PolicyLabels};

/// What metrics were told last.
#[derive(Debug, Default)]
pub(super) struct PolicyHits {
    told: BTreeMap<PolicyLabels, u64>,
}

impl PolicyHits {
    /// Brings metrics to what the kernel has counted.
    pub(super) fn tell(&mut self, pinned: &Pinned, metrics: &Metrics) -> Result<(), ReadError> {
        let hits = pinned.policies.rule_hits()?;
        metrics.set_table(&Fill { table: RULE_HITS, entries: hits.len() as u64, evicts: false });
        let names = pinned.policies.names.entries()?;
        let mut allowed = BTreeMap::new();
        for (rule, verdicts) in hits {
            let Some(policy) = names.get(&rule.policy).and_then(policy_name) else { continue };
            let direction = if rule.index & Rule::EGRESS == 0 { "ingress" } else { "egress" };
            let labels = PolicyLabels { namespace: policy.namespace, name: policy.name, direction };
            *allowed.entry(labels).or_default() += verdicts;
        }
        metrics.set_policy_allowed(&allowed, &self.told);
        self.told = allowed;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proxy_common::tables::{self, PolicyName, RuleKey};

    use super::*;
    use crate::config::Settings;
    use crate::dataplane::ebpf::read::tests::{HITS, PinnedTables};
    use crate::plan::{PolicyImage, RulePrefix};

    fn named(name: &str) -> PolicyName {
        let mut entry = PolicyName { namespace: [0; 64], name: [0; 256] };
        entry.namespace[..7].copy_from_slice(b"default");
        entry.name[..name.len()].copy_from_slice(name.as_bytes());
        entry
    }

    fn allowed(metrics: &Metrics) -> Vec<String> {
        let text = metrics.encode();
        text.lines().filter(|line| line.starts_with("sluice_policy_allowed_total")).map(ToOwned::to_owned).collect()
    }

    #[test]
    fn rules_are_counted_by_policy_and_direction_for_as_long_as_the_policy_is_there() {
        let settings = Settings { manifests: Some("/m".into()), ..Settings::default() };
        let metrics = Metrics::new(&settings.resolve().unwrap());
        let rules = [(1, 0), (1, 1), (1, Rule::EGRESS), (2, 0), (9, 0)].map(|(policy, index)| Rule { policy, index });
        let key = |class| RulePrefix { key: RuleKey { class, ..RuleKey::default() }, bits: RuleKey::BITS };
        let image = PolicyImage {
            names: [(1, named("web")), (2, named("db"))].into(),
            rules: (1..).zip(rules).map(|(class, rule)| (key(class), rule)).collect(),
            ..PolicyImage::default()
        };
        let pinned = PinnedTables::empty();
        pinned.put_policies(&image);
        let (mut hits, read) = (PolicyHits::default(), Pinned::open(pinned.bpffs()).unwrap());
        hits.tell(&read, &metrics).unwrap();
        let line = |name, direction, count| {
            let labels = format!("namespace=\"default\",name=\"{name}\",direction=\"{direction}\"");
            format!("sluice_policy_allowed_total{{{labels}}} {count}")
        };
        let (web, egress, db) =
            (line("web", "ingress", 2 * HITS), line("web", "egress", HITS), line("db", "ingress", HITS));
        let mut told = allowed(&metrics);
        told.sort();
        assert_eq!(told, [&*db, &*egress, &*web], "and what has no name is nobody's");
        pinned.remove::<u32, PolicyName>(tables::POLICY_NAMES, 1);
        hits.tell(&read, &metrics).unwrap();
        assert_eq!(allowed(&metrics), [db]);
    }
}
