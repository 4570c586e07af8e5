//! What depends on the node that looks: its zone, its addresses and its pods.

use proxy_common::tables::Topology;

use super::*;
use crate::model::fixtures::node;
use crate::model::{Hints, Reason};

/// A slice whose endpoints, 10.0.0.1 and so on, are hinted for one zone each.
fn zoned(name: &str, of: &str, zones: &[&str]) -> Object {
    let addresses: Vec<String> = (1..=zones.len()).map(|n| format!("10.0.0.{n}")).collect();
    let mut slice = slice(name, of, &addresses.iter().map(String::as_str).collect::<Vec<_>>());
    for (endpoint, zone) in slice.group.endpoints.iter_mut().zip(zones) {
        endpoint.hints = Some(Arc::new(Hints { for_nodes: Vec::new(), for_zones: vec![Arc::from(*zone)] }));
    }
    Object::EndpointSlice(slice)
}

fn here_in(zone: Option<&str>) -> Object {
    Object::Node(node(HERE, "192.0.2.1", zone))
}

#[test]
fn s3_13_a_new_zone_of_this_node_affects_the_services_with_hints_for_zones_and_no_others() {
    let mut cluster = cluster(vec![
        Object::Service(web()),
        Object::Service(service("plain", &["10.96.0.2"])),
        zoned("web-1", "web", &["a", "b"]),
        zoned("stray-1", "stray", &["a"]),
        Object::EndpointSlice(slice("plain-1", "plain", &["10.0.1.1"])),
    ]);
    let chosen = |cluster: &Cluster| web_port(cluster).cluster_set().endpoints.len();
    assert_eq!(chosen(&cluster), 2, "a node whose zone isn't known");
    assert_eq!(apply(&mut cluster, here_in(Some("b"))), ["web"]);
    assert_eq!(web_port(&cluster).cluster_set().reason, Reason::Ready(Topology::Zone));
    let mut relabelled = node(HERE, "192.0.2.1", Some("b"));
    relabelled.labels.insert("x".into(), "y".into());
    assert_eq!(apply(&mut cluster, Object::Node(relabelled)), [""; 0], "another label");
    assert_eq!(apply(&mut cluster, Object::Node(node("node2", "192.0.2.2", Some("a")))), [""; 0], "another node");
    assert_eq!(apply(&mut cluster, here_in(Some(""))), ["web"], "an empty label is none");
    assert_eq!(chosen(&cluster), 2);
}

#[test]
fn s3_13_the_last_known_zone_and_addresses_stay_when_the_node_object_goes() {
    let mut cluster = cluster(vec![Object::Service(web()), zoned("web-1", "web", &["a", "b"]), here_in(Some("a"))]);
    assert_eq!(delete(&mut cluster, &here_in(None)), [""; 0]);
    assert_eq!(web_port(&cluster).cluster_set().reason, Reason::Ready(Topology::Zone));
    assert_eq!(cluster.internal_ips(), [ip("192.0.2.1")]);
}

/// The source ranges of the Service `web` with these, an external IP of each family, on a node with these addresses.
fn source_ranges(ranges: &[&str], node: &[&str]) -> Vec<Option<Vec<String>>> {
    let service = Service {
        external_ips: vec![ip("203.0.113.1")],
        load_balancer_ips: vec![ip("2001:db8::1")],
        load_balancer_source_ranges: ranges.iter().map(|text| text.parse().unwrap()).collect(),
        ..service("web", &["10.96.0.1", "fd00::1"])
    };
    let mut cluster = cluster(vec![Object::Service(service)]);
    cluster.set_node_addresses(&node.iter().map(|text| ip(text)).collect());
    let ports = cluster.service_ports(&id("web"));
    ports.into_iter().map(|port| Some(port.source_ranges?.iter().map(ToString::to_string).collect())).collect()
}

#[test]
fn s1_15_source_ranges_hold_for_each_family_and_close_one_without_any() {
    assert_eq!(source_ranges(&[], &[]), [None, None]);
    assert_eq!(source_ranges(&["192.0.2.0/24"], &[]), [Some(vec!["192.0.2.0/24".into()]), Some(vec![])]);
    assert_eq!(source_ranges(&["fd00::/64"], &[]), [Some(vec![]), Some(vec!["fd00::/64".into()])]);
    assert_eq!(source_ranges(&["192.0.2.0/24", "0.0.0.0/0"], &[]), [None, Some(vec![])]);
}

#[test]
fn s2_27_a_node_within_a_range_may_send_under_the_services_own_addresses() {
    let ranges = source_ranges(&["192.0.2.0/24", "fd00::/64"], &["192.0.2.1", "2001:db8::9"]);
    assert_eq!(ranges, [Some(vec!["192.0.2.0/24".into(), "203.0.113.1/32".into()]), Some(vec!["fd00::/64".into()])]);
}

#[test]
fn a_new_address_of_the_node_affects_the_services_whose_ranges_it_enters() {
    let ranged = |name, address, range: &str| {
        let load_balancer_source_ranges = vec![range.parse().unwrap()];
        let load_balancer_ips = vec![ip("203.0.113.1")];
        Object::Service(Service { load_balancer_ips, load_balancer_source_ranges, ..service(name, &[address]) })
    };
    let mut cluster = cluster(vec![
        ranged("near", "10.96.0.1", "192.0.2.0/24"),
        ranged("far", "10.96.0.2", "198.51.100.0/24"),
        Object::Service(service("open", &["10.96.0.3"])),
    ]);
    assert_eq!(cluster.set_node_addresses(&BTreeSet::from([ip("192.0.2.1")])), BTreeSet::from([id("near")]));
    let two = BTreeSet::from([ip("192.0.2.1"), ip("192.0.2.2")]);
    assert_eq!(cluster.set_node_addresses(&two), BTreeSet::new(), "nothing new about it");
    assert_eq!(cluster.set_node_addresses(&BTreeSet::new()), BTreeSet::from([id("near")]));
}

#[test]
fn local_pods_are_those_of_this_node_that_run() {
    let of = |name: &str, node: &str, finished| Pod {
        node_name: Some(node.into()),
        finished,
        ..pod(name, "web", &["10.0.0.1"])
    };
    let here = of("a", HERE, false);
    let mut cluster = cluster(vec![
        Object::Pod(here.clone()),
        Object::Pod(of("b", "node2", false)),
        Object::Pod(of("c", HERE, true)),
    ]);
    let names = |cluster: &Cluster| cluster.local_pods().map(|pod| pod.name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&cluster), ["a"]);
    cluster.apply(Change::Apply(Object::Pod(of("a", HERE, true))));
    assert!(names(&cluster).is_empty(), "it has finished");
    cluster.apply(Change::Apply(Object::Pod(here.clone())));
    cluster.apply(Change::Delete(Object::Pod(here).object_ref()));
    assert!(names(&cluster).is_empty(), "it is gone");
}
