//! Each test is named after the statement of kube-proxy's rules that it holds us to.

use super::*;
use crate::model::fixtures::{HERE, endpoint, service_port};

/// An endpoint of the conditions r(eady), s(erving), t(erminating), l(ocal), with hints for these nodes and zones, seen
/// from [`HERE`] in the zone `a`.
fn with(address: &str, letters: &str, nodes: &[&str], zones: &[&str]) -> Endpoint {
    seen_from(Some("a"), address, letters, nodes, zones)
}

fn seen_from(zone: Option<&str>, address: &str, letters: &str, nodes: &[&str], zones: &[&str]) -> Endpoint {
    let here = Here { node_name: HERE.into(), zone: zone.map(str::to_owned) };
    let names = |names: &[&str]| names.iter().map(|name| Arc::from(*name)).collect();
    let hints = Hints { for_nodes: names(nodes), for_zones: names(zones) };
    let has = |letter| letters.contains(letter);
    Endpoint {
        ready: has('r'),
        serving: has('s'),
        terminating: has('t'),
        is_local: has('l'),
        node_hint: hints.of_node(&here),
        zone_hint: hints.of_zone(&here),
        ..endpoint(address)
    }
}

fn port(endpoints: Vec<Endpoint>) -> ServicePort {
    service_port("web", "", "10.96.0.1", endpoints)
}

/// The last bytes of the addresses chosen, and why.
fn told(chosen: &Chosen<'_>) -> (Vec<u8>, Reason) {
    let last = |it: &&Endpoint| match it.ip {
        std::net::IpAddr::V4(ip) => ip.octets()[3],
        std::net::IpAddr::V6(ip) => ip.octets()[15],
    };
    (chosen.endpoints.iter().map(last).collect(), chosen.reason)
}

fn cluster(endpoints: Vec<Endpoint>) -> (Vec<u8>, Reason) {
    told(&port(endpoints).cluster_set())
}

fn local(endpoints: Vec<Endpoint>) -> (Vec<u8>, Reason) {
    told(&port(endpoints).local_set())
}

const ALL: Reason = Reason::Ready(Topology::None);

#[test]
fn s3_3_the_cluster_set_is_the_ready_endpoints_else_those_that_serve_while_they_terminate() {
    let plain = |address, letters| with(address, letters, &[], &[]);
    assert_eq!(cluster(vec![plain("10.0.0.1", "rs"), plain("10.0.0.2", "st")]), (vec![1], ALL));
    assert_eq!(
        cluster(vec![plain("10.0.0.1", "st"), plain("10.0.0.2", "t"), plain("10.0.0.3", "s")]),
        (vec![1], Reason::Terminating)
    );
    assert_eq!(cluster(vec![]), (vec![], Reason::Nobody));
}

#[test]
fn s3_3_the_fallback_ignores_hints() {
    let endpoints = vec![with("10.0.0.1", "st", &[], &["a"]), with("10.0.0.2", "st", &[], &["b"])];
    assert_eq!(cluster(endpoints), (vec![1, 2], Reason::Terminating));
}

#[test]
fn s3_4_the_local_set_is_this_nodes_ready_endpoints_whatever_their_hints() {
    let endpoints = vec![with("10.0.0.1", "rsl", &[], &["b"]), with("10.0.0.2", "rs", &[], &["a"])];
    assert_eq!(local(endpoints), (vec![1], ALL));
    assert_eq!(local(vec![with("10.0.0.1", "stl", &[], &[]), with("10.0.0.2", "rs", &[], &[])]).0, [1]);
    assert_eq!(local(vec![with("10.0.0.2", "rs", &[], &[])]), (vec![], Reason::Nobody));
}

#[test]
fn s3_5_each_set_falls_back_for_itself() {
    let endpoints = vec![with("10.0.0.1", "rs", &[], &[]), with("10.0.0.2", "stl", &[], &[])];
    assert_eq!(cluster(endpoints.clone()), (vec![1], ALL));
    assert_eq!(local(endpoints), (vec![2], Reason::Terminating));
}

#[test]
fn s3_6_an_endpoint_that_is_neither_ready_nor_serves_while_it_terminates_is_never_used() {
    let endpoints = vec![with("10.0.0.1", "sl", &[], &[]), with("10.0.0.2", "tl", &[], &[])];
    assert_eq!((cluster(endpoints.clone()).1, local(endpoints).1), (Reason::Nobody, Reason::Nobody));
}

#[test]
fn s3_8_node_hints_hold_where_every_ready_endpoint_has_one_and_one_is_for_this_node() {
    let endpoints = vec![with("10.0.0.1", "rs", &[HERE], &["b"]), with("10.0.0.2", "rs", &["node2"], &["a"])];
    assert_eq!(cluster(endpoints), (vec![1], Reason::Ready(Topology::Node)));
}

#[test]
fn s3_9_else_zone_hints_hold_on_the_same_terms() {
    for nodes in [["node3"].as_slice(), &[]] {
        let endpoints = vec![with("10.0.0.1", "rs", nodes, &["a"]), with("10.0.0.2", "rs", &["node2"], &["b"])];
        assert_eq!(cluster(endpoints), (vec![1], Reason::Ready(Topology::Zone)));
    }
}

#[test]
fn s3_9_a_zone_may_hold_where_one_endpoint_lacks_the_hint_for_nodes() {
    let endpoints = vec![with("10.0.0.1", "rs", &[HERE], &["a"]), with("10.0.0.2", "rs", &[], &["a"])];
    assert_eq!(cluster(endpoints), (vec![1, 2], Reason::Ready(Topology::Zone)));
}

#[test]
fn s3_10_one_ready_endpoint_without_a_hint_switches_hints_off() {
    let endpoints = vec![with("10.0.0.1", "rs", &[], &["a"]), with("10.0.0.2", "rs", &[], &[])];
    assert_eq!(cluster(endpoints), (vec![1, 2], Reason::Ready(Topology::NotAllHinted)));
}

#[test]
fn s3_10_a_node_without_a_zone_uses_all() {
    let endpoints =
        vec![seen_from(None, "10.0.0.1", "rs", &[], &["a"]), seen_from(None, "10.0.0.2", "rs", &[], &["b"])];
    assert_eq!(cluster(endpoints), (vec![1, 2], Reason::Ready(Topology::ZoneUnknown)));
}

#[test]
fn s3_10_without_an_endpoint_for_our_zone_all_are_used() {
    let endpoints = vec![with("10.0.0.1", "rs", &[], &["b"]), with("10.0.0.2", "rs", &[], &["c"])];
    assert_eq!(cluster(endpoints), (vec![1, 2], Reason::Ready(Topology::NoneForHere)));
    let endpoints = vec![with("10.0.0.1", "rs", &["node2"], &[])];
    assert_eq!(cluster(endpoints), (vec![1], Reason::Ready(Topology::NoneForHere)));
}

#[test]
fn s3_11_hints_of_endpoints_that_are_not_ready_count_for_nothing() {
    let unhinted = vec![with("10.0.0.1", "rs", &[], &["a"]), with("10.0.0.2", "st", &[], &[])];
    assert_eq!(cluster(unhinted), (vec![1], Reason::Ready(Topology::Zone)));
    let hinted_for_us = vec![with("10.0.0.1", "rs", &[], &["b"]), with("10.0.0.2", "s", &[], &["a"])];
    assert_eq!(cluster(hinted_for_us), (vec![1], Reason::Ready(Topology::NoneForHere)));
}

#[test]
fn s3_11_an_endpoint_with_several_hints_matches_any_of_them() {
    let endpoints = vec![with("10.0.0.1", "rs", &[], &["b", "a"]), with("10.0.0.2", "rs", &[], &["b"])];
    assert_eq!(cluster(endpoints), (vec![1], Reason::Ready(Topology::Zone)));
}

#[test]
fn s3_12_hints_degrade_from_node_to_zone_to_all() {
    let both = |address, node, zone| with(address, "rs", &[node], &[zone]);
    let elsewhere = both("10.0.0.3", "node3", "b");
    for (endpoints, expected) in [
        (vec![both("10.0.0.1", HERE, "a"), both("10.0.0.2", "node2", "a"), elsewhere.clone()], vec![1]),
        (vec![both("10.0.0.2", "node2", "a"), elsewhere.clone()], vec![2]),
        (vec![elsewhere], vec![3]),
    ] {
        assert_eq!(cluster(endpoints).0, expected);
    }
}
