//! Whether two images of the policy tables are the same but for the numbers of sets, classes and policies, and for what
//! they say of generations gone by.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use proxy_common::tables::{Policing, Rule, RuleKey};
use proxy_user::plan::{PolicyImage, RulePrefix};

use super::node::text;

/// Says how they differ.
pub(super) fn same(one: &PolicyImage, other: &PolicyImage) -> Result<(), String> {
    let (one, other) = (Renumbered::new(one)?, Renumbered::new(other)?);
    differ("POD_NETWORK", &one.pod_network, &other.pod_network)?;
    differ("POLICY_NAMES", &one.names, &other.names)?;
    differ("IDENTITIES", &one.identities, &other.identities)?;
    differ("BLOCKS", &one.blocks, &other.blocks)?;
    differ("SET_POLICIES", &one.sets, &other.sets)?;
    differ("RULES", &one.rules, &other.rules)
}

fn differ<T: PartialEq + Debug>(table: &str, one: &T, other: &T) -> Result<(), String> {
    if one == other { Ok(()) } else { Err(format!("{table}\n  {one:?}\n  {other:?}")) }
}

/// An image with numbers in the order in which they are met, and names in the place of policies' numbers.
struct Renumbered {
    pod_network: proxy_common::tables::PodNetwork,
    names: BTreeSet<(String, String)>,
    identities: Vec<(proxy_common::addr::Addr, u32, u32, Policing)>,
    blocks: Vec<(proxy_user::plan::BlockPrefix, u32)>,
    sets: BTreeSet<(u32, (String, String))>,
    rules: BTreeMap<RulePrefix, ((String, String), u32)>,
}

impl Renumbered {
    fn new(image: &PolicyImage) -> Result<Self, String> {
        let (mut classes, mut sets) = (Numbers::default(), Numbers::default());
        let now = image.generation;
        let identities = image.identities.iter().map(|(addr, identity)| {
            let Policing { class, ingress, egress } = identity.at(now);
            let mut set = |set: u32| sets.of(set & !Policing::AUDIT) | set & Policing::AUDIT;
            let policing = Policing { class: classes.of(class), ingress: set(ingress), egress: set(egress) };
            (*addr, identity.flags, identity.ifindex, policing)
        });
        let identities = identities.collect();
        let blocks = image.blocks.iter().map(|(prefix, block)| (*prefix, classes.of(block.at(now)))).collect();
        let name = |number: u32| {
            let name = image.names.get(&number).ok_or_else(|| format!("policy {number} has no name"))?;
            Ok::<_, String>((text(&name.namespace), text(&name.name)))
        };
        let rule = |(prefix, rule): (&RulePrefix, &Rule)| {
            let key =
                RuleKey { set: sets.known(prefix.key.set)?, class: classes.known(prefix.key.class)?, ..prefix.key };
            Ok::<_, String>((RulePrefix { key, ..*prefix }, (name(rule.policy)?, rule.index)))
        };
        let set = |set: &proxy_common::tables::SetPolicy| Ok::<_, String>((sets.known(set.set)?, name(set.policy)?));
        Ok(Self {
            pod_network: image.pod_network,
            names: image.names.keys().map(|number| name(*number)).collect::<Result<_, _>>()?,
            identities,
            blocks,
            sets: image.set_policies.iter().map(set).collect::<Result<_, _>>()?,
            rules: image.rules.iter().map(rule).collect::<Result<_, _>>()?,
        })
    }
}

/// Numbers by when they were met; 0 stays 0.
#[derive(Default)]
struct Numbers(BTreeMap<u32, u32>);

impl Numbers {
    fn of(&mut self, number: u32) -> u32 {
        let next = self.0.len() as u32 + 1;
        if number == 0 { 0 } else { *self.0.entry(number).or_insert(next) }
    }

    fn known(&self, number: u32) -> Result<u32, String> {
        if number == 0 {
            return Ok(0);
        }
        self.0.get(&number).copied().ok_or_else(|| format!("number {number} stands in a rule, and nowhere else"))
    }
}
