//! Tables that an earlier agent left.

use super::objects::{Cluster, app, block, egress, elsewhere, here, ingress, number, of, rule};
use crate::model::{Object, Policies, PolicyMode};
use crate::plan::{PolicyPlan, PolicyWrite};

fn objects() -> Vec<Object> {
    let peers = || Some(vec![of(app("client")), block("192.0.2.0/24", &["192.0.2.128/25"])]);
    vec![
        here("web", "web", "10.244.1.1"),
        here("client", "client", "10.244.1.2"),
        elsewhere("other", "client", "10.244.2.1"),
        ingress("web", "web", vec![rule(peers(), Some(vec![number(80)])), rule(None, Some(vec![number(443)]))]),
        egress("client", "client", vec![rule(Some(vec![of(app("web"))]), None)]),
    ]
}

/// Objects that a new agent hears of, in another order.
fn again(before: &Cluster, objects: &[Object]) -> (PolicyPlan, Vec<PolicyWrite>) {
    let mut cluster = Cluster::new();
    let mut policies = std::mem::replace(&mut cluster.policies, Policies::new("", PolicyMode::Enforce));
    for object in objects.iter().rev() {
        policies.apply(&crate::model::Change::Apply(object.clone()));
    }
    let mut plan = PolicyPlan::adopt(before.image().clone(), true);
    let writes = plan.update(&mut policies);
    (plan, writes)
}

#[test]
fn a_restart_writes_nothing() {
    let mut before = Cluster::with(objects());
    before.apply(ingress("gone", "web", vec![rule(None, None)]));
    before.delete(crate::model::Kind::NetworkPolicy, "gone");
    let (plan, writes) = again(&before, &objects());
    assert_eq!(writes, []);
    assert_eq!(plan.image(), before.image());
}

#[test]
fn a_restart_writes_what_changed_meanwhile_under_new_numbers() {
    let before = Cluster::with(objects());
    let mut objects = objects();
    objects.push(elsewhere("new", "client", "10.244.2.2"));
    let (_, writes) = again(&before, &objects);
    assert!(matches!(writes[..], [PolicyWrite::PutIdentity(..), PolicyWrite::SetGeneration(_)]), "{writes:?}");

    objects.pop();
    objects[3] = ingress("web", "web", vec![]);
    let (plan, _) = again(&before, &objects);
    let sets = |it: &crate::plan::PolicyImage| it.set_policies.iter().map(|it| it.set).collect::<Vec<_>>();
    assert!(sets(plan.image()).iter().max() > sets(before.image()).iter().max());
    assert_eq!(plan.image().names.keys().next(), before.image().names.keys().next(), "policies keep theirs");
}

#[test]
fn rules_that_are_not_as_they_should_be_are_never_taken_over() {
    let mut before = Cluster::with(objects());
    let rules = before.image().rules.clone();
    for rule in rules.keys() {
        let mut image = before.image().clone();
        image.apply(&PolicyWrite::DeleteRule(*rule));
        before.plan = PolicyPlan::adopt(image, true);
        let (plan, writes) = again(&before, &objects());
        assert!(!writes.is_empty(), "{rule:?} is missing and stays so");
        assert_eq!(plan.image().rules.len(), rules.len());
    }
}
