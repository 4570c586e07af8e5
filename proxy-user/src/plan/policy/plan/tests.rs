use proptest::prelude::*;

use super::*;
use crate::model::{Change, PolicyMode};

mod adoption;
mod changes;
mod cost;
mod limits;
mod objects;
mod reader;
mod semantics;

use changes::{HERE, apply, random};
use reader::{check_every_step, verdicts};

fn policies() -> Policies {
    Policies::new(HERE, PolicyMode::Enforce)
}

fn fresh(changes: &[Change]) -> PolicyPlan {
    let mut policies = policies();
    apply(&mut policies, changes);
    let mut plan = PolicyPlan::adopt(PolicyImage::default(), true);
    plan.update(&mut policies);
    plan
}

#[test]
fn a_block_within_another_comes_and_goes_at_one_moment_with_its_rules() {
    use objects::{Cluster, block, here, ingress, rule};
    let allow = |port, peer| rule(Some(vec![peer]), Some(vec![objects::number(port)]));
    let outer = || allow(80, block("0.0.0.0/0", &[]));
    let inner = || allow(8080, block("192.0.2.0/24", &["192.0.2.128/25"]));
    let mut cluster = Cluster::with([here("web", "web", "10.244.1.1")]);
    for rules in [vec![outer()], vec![outer(), inner()], vec![inner()], vec![outer(), inner()], vec![outer()], vec![]] {
        let before = cluster.image().clone();
        let writes = cluster.apply(ingress("web", "web", rules));
        check_every_step(&before, &writes);
    }
    assert!(cluster.image().blocks.is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn after_each_write_a_reader_judges_as_before_or_as_after_and_by_one_moment(
        batches in prop::collection::vec(prop::collection::vec(random(), 1..6), 1..8),
        hold in any::<bool>(),
    ) {
        let mut policies = policies();
        let mut plan = PolicyPlan::adopt(PolicyImage::default(), hold);
        for batch in batches {
            let before = plan.image().clone();
            apply(&mut policies, &batch);
            let writes = plan.update(&mut policies);
            let after = check_every_step(&before, &writes);
            prop_assert_eq!(&after, plan.image());
            prop_assert_eq!(plan.update(&mut policies), []);
        }
    }

    #[test]
    fn what_came_bit_by_bit_is_what_comes_at_once(changes in prop::collection::vec(random(), 1..30)) {
        let mut policies = policies();
        let mut plan = PolicyPlan::adopt(PolicyImage::default(), true);
        for change in &changes {
            apply(&mut policies, std::slice::from_ref(change));
            plan.update(&mut policies);
        }
        let at_once = fresh(&changes);
        prop_assert_eq!(verdicts(plan.image()), verdicts(at_once.image()));
        prop_assert_eq!(plan.image().lengths(), at_once.image().lengths());
    }

    #[test]
    fn an_agent_that_ended_between_two_writes_is_followed_by_one_that_opens_and_closes_nothing(
        first in prop::collection::vec(random(), 1..20),
        second in prop::collection::vec(random(), 1..6),
        third in prop::collection::vec(random(), 0..3),
        ended in any::<prop::sample::Index>(),
    ) {
        let mut policies = policies();
        apply(&mut policies, &first);
        let mut plan = PolicyPlan::adopt(PolicyImage::default(), true);
        plan.update(&mut policies);
        let mut image = plan.image().clone();
        apply(&mut policies, &second);
        let writes = plan.update(&mut policies);
        for write in &writes[..ended.index(writes.len() + 1)] {
            image.apply(write);
        }

        apply(&mut policies, &third);
        let mut next = PolicyPlan::adopt(image.clone(), true);
        let writes = next.update(&mut policies);
        check_every_step(&image, &writes);
        let at_once = fresh(&[first, second, third].concat());
        prop_assert_eq!(verdicts(next.image()), verdicts(at_once.image()));
        prop_assert_eq!(next.image().lengths(), at_once.image().lengths());
    }
}
