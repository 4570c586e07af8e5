//! Work is in proportion to the change: counted, not timed.

use super::objects::{Cluster, app, block, elsewhere, here, ingress, number, of, rule};
use crate::model::Object;

/// A policy of as many rules, each with another peer on another port.
fn rules(count: u16) -> Object {
    let one = |at: u16| rule(Some(vec![of(app(&format!("app-{at}")))]), Some(vec![number(at)]));
    ingress("web", "web", (1..=count).map(one).collect())
}

#[test]
fn one_label_among_ten_thousand_rules_and_twice_as_many_pods_is_a_few_writes() {
    let mut cluster = Cluster::new();
    let at = |pod: u32| format!("10.{}.{}.{}", 100 + (pod >> 16), (pod >> 8) & 0xff, pod & 0xff);
    for pod in 0..20_000 {
        let app = format!("app-{}", pod % 10_000 + 1);
        cluster.policies.apply(&crate::model::Change::Apply(elsewhere(&pod.to_string(), &app, &at(pod))));
    }
    cluster.apply(here("web", "web", "10.244.1.1"));
    cluster.apply(rules(10_000));
    assert_eq!(cluster.image().identities.len(), 20_001);
    assert_eq!(cluster.image().rules.len(), 10_000);
    let writes = cluster.apply(elsewhere("5", "app-9", &at(5)));
    assert_eq!(writes.len(), 2, "the identity and the generation: {writes:?}");
    let writes = cluster.apply(elsewhere("5", "nobody", &at(5)));
    assert_eq!(writes.len(), 3, "the identity, the generation, and it is gone: {writes:?}");
    assert!(cluster.policies.looked_at("default", "app-9") <= 2);
    assert_eq!(cluster.apply(elsewhere("x", "nobody", "10.99.0.1")), []);
}

#[test]
fn blocks_take_as_many_entries_as_they_have_borders() {
    let mut cluster = Cluster::with([here("web", "web", "10.244.1.1")]);
    let peer = |at: u32| {
        block(&format!("20.{}.{}.0/24", at >> 8, at & 0xff), &[&format!("20.{}.{}.8/29", at >> 8, at & 0xff)])
    };
    let of_rules = |count| ingress("web", "web", vec![rule(Some((0..count).map(peer).collect()), None)]);
    cluster.apply(of_rules(1_000));
    assert_eq!(cluster.image().blocks.len(), 2_000);
    // Blocks that the same rules name are told apart, for rules to come.
    assert_eq!(cluster.image().rules.len(), 1_000);
}
