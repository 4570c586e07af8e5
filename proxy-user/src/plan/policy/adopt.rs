//! Tables that an earlier agent left.

use super::PolicyImage;
use super::name::from_table;
use super::numbers::NOTHING;
use super::wanted::Wanted;

impl Wanted {
    /// Nothing, with numbers above all that `image` has, so that none of them gets another meaning. A policy keeps its
    /// number, under which its hits are counted.
    pub(super) fn above_all_of(image: &PolicyImage) -> Self {
        let policing = || image.identities.values().flat_map(|identity| [identity.last, identity.next]);
        let classes = policing().map(|it| it.class);
        let classes = classes.chain(image.blocks.values().flat_map(|block| [block.last, block.next]));
        let classes = classes.chain(image.rules.keys().map(|rule| rule.key.class));
        let sets = policing().flat_map(|it| [it.ingress & NOTHING, it.egress & NOTHING]);
        let sets = sets.chain(image.rules.keys().map(|rule| rule.key.set));
        let sets = sets.chain(image.set_policies.iter().map(|it| it.set)).filter(|set| *set != NOTHING);
        let policies = image.names.keys().copied();
        let policies = policies.chain(image.rules.values().map(|rule| rule.policy));
        let policies = policies.chain(image.set_policies.iter().map(|it| it.policy));
        let last = |numbers: &mut dyn Iterator<Item = u32>| numbers.max().unwrap_or(0);
        let mut wanted = Self::above(last(&mut { policies }), last(&mut { classes }), last(&mut { sets }));
        for (number, name) in &image.names {
            if let Some(policy) = from_table(name) {
                wanted.names.find(policy, *number);
            }
        }
        wanted
    }
}
