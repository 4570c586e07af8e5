//! More than the tables hold.

use super::super::Limits;
use super::objects::{Cluster, app, block, elsewhere, here, ingress, number, of, rule};
use crate::model::{Kind, Object};

fn ports(name: &str, of: &str, count: u16) -> Object {
    ingress(name, of, (1..=count).map(|port| rule(None, Some(vec![number(port)]))).collect())
}

#[test]
fn a_set_without_room_allows_nothing_and_is_named_until_there_is_room() {
    let mut cluster = Cluster::limited(Limits { rules: 10, ..Limits::default() });
    cluster.apply(here("a", "a", "10.244.1.1"));
    cluster.apply(here("b", "b", "10.244.1.2"));
    cluster.apply(ports("a", "a", 8));
    cluster.apply(ports("b", "b", 5));
    assert!(cluster.passes("192.0.2.1", "10.244.1.1", 8));
    assert!(!cluster.passes("192.0.2.1", "10.244.1.2", 1));
    let refused = cluster.refused();
    assert!(refused.len() == 1 && refused[0].contains("default/b together"), "{refused:?}");
    cluster.delete(Kind::NetworkPolicy, "a");
    assert!(cluster.passes("192.0.2.1", "10.244.1.2", 5));
    assert_eq!(cluster.refused(), Vec::<String>::new());
}

#[test]
fn a_set_that_a_new_class_makes_too_large_allows_nothing() {
    let rules = vec![
        rule(Some(vec![of(app("x"))]), Some((1..=3).map(number).collect())),
        rule(Some(vec![block("192.0.2.0/24", &[])]), Some((1..=3).map(|at| number(at * 2)).collect())),
    ];
    let mut cluster = Cluster::limited(Limits { rules: 5, ..Limits::default() });
    cluster.apply(here("web", "web", "10.244.1.1"));
    cluster.apply(ingress("web", "web", rules));
    assert!(cluster.passes("192.0.2.1", "10.244.1.1", 2));
    cluster.apply(elsewhere("x", "x", "10.244.2.1"));
    assert!(!cluster.passes("10.244.2.1", "10.244.1.1", 1) && !cluster.passes("192.0.2.1", "10.244.1.1", 2));
    assert_eq!(cluster.refused().len(), 1);
    assert_eq!(cluster.image().rules.len(), 0);
    cluster.delete(Kind::Pod, "x");
    cluster.delete(Kind::NetworkPolicy, "web");
    assert_eq!(cluster.refused(), Vec::<String>::new());
}

#[test]
fn pods_elsewhere_without_room_are_what_blocks_say_and_those_of_this_node_have_room() {
    let peers = vec![of(app("x")), block("10.244.2.2/32", &[])];
    let mut cluster = Cluster::limited(Limits { identities_elsewhere: 2, ..Limits::default() });
    cluster.apply(here("web", "web", "10.244.1.1"));
    cluster.apply(ingress("web", "web", vec![rule(Some(peers), None)]));
    for (name, ip) in [("a", "10.244.2.1"), ("b", "10.244.2.2"), ("c", "10.244.2.3")] {
        cluster.apply(elsewhere(name, "x", ip));
    }
    let found =
        |cluster: &Cluster| ["10.244.2.1", "10.244.2.2", "10.244.2.3"].map(|it| cluster.passes(it, "10.244.1.1", 80));
    assert_eq!(found(&cluster), [true, true, false]);
    assert!(cluster.refused()[0].starts_with("2 addresses"), "{:?}", cluster.refused());
    cluster.apply(here("late", "web", "10.244.1.2"));
    assert!(!cluster.passes("192.0.2.1", "10.244.1.2", 80));
    cluster.delete(Kind::Pod, "late");
    cluster.delete(Kind::Pod, "a");
    cluster.delete(Kind::Pod, "b");
    assert_eq!(found(&cluster), [false, true, true]);
    assert_eq!(cluster.refused(), Vec::<String>::new());
}
