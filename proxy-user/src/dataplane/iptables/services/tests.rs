//! Rules of single Service ports.

use std::collections::{BTreeMap, BTreeSet};

use ipnetwork::IpNetwork;
use proxy_common::addr::{Addr, Port as Number};
use proxy_common::tables::{Address, address_flags};

use super::*;
use crate::dataplane::iptables::restore::{Restore, Table};
use crate::model::fixtures::{endpoint, ip, service_port};
use crate::model::{Endpoint, Frontend, FrontendKind, Protocol, ServicePort, TrafficPolicy};
use crate::plan::{Limits, Plan};

/// The port of a Service that has a frontend of every kind, and these endpoints; `*` says that one is here.
fn web(endpoints: &[&str]) -> ServicePort {
    let endpoints = endpoints.iter().map(|text| {
        let is_local = text.starts_with('*');
        Endpoint { is_local, ..endpoint(text.trim_start_matches('*')) }
    });
    let mut port = service_port("web", "http", "10.96.0.1", endpoints.collect());
    for (kind, addr) in [(FrontendKind::ExternalIp, "203.0.113.1"), (FrontendKind::LoadBalancer, "203.0.113.2")] {
        port.frontends.push(Frontend { kind, addr: ip(addr), port: 80, protocol: Protocol::Tcp });
    }
    port.frontends.push(Frontend::node_port(Family::V4, 30_080, Protocol::Tcp));
    port
}

/// The rules of a Service port on a node whose pods are of 10.1.0.0/16, names of chains without their hashes, comments left out.
fn rules(port: &ServicePort, table: Table) -> BTreeSet<String> {
    let mut plan = Plan::adopt(Image::default(), Limits::default());
    plan.update(&BTreeMap::from([(port.name.service.clone(), vec![port.clone()])]));
    let frontends = Frontends::new(plan.image());
    let id = frontends.ids().next().unwrap();
    let node = Node { pod_cidrs: vec!["10.1.0.0/16".parse().unwrap()] };
    let port = Port::read(plan.image(), id, &frontends.of(id)).unwrap();
    let wanted = port_rules(&port, &node).changes(&Present::default());
    let lines = wanted.lines(table).filter(|line| line.starts_with('-'));
    lines.map(plain).collect()
}

fn plain(line: &str) -> String {
    let mut words: Vec<String> = Vec::new();
    let mut quoted = false;
    for word in line.replacen("-I ", "-A ", 1).split(' ') {
        let of_comment = quoted || word == "comment" || word == "--comment" || word.starts_with('"');
        quoted = (quoted || word.starts_with('"')) && !word.ends_with('"');
        if of_comment {
            // `-m comment`.
            if word == "comment" {
                words.pop();
            }
            continue;
        }
        let hashed = names::is_of_a_port(word);
        words.push(if hashed {
            word.rsplit_once('-').unwrap().0.replace("SLUICE-", "")
        } else {
            word.replace("SLUICE-", "")
        });
    }
    words.join(" ")
}

fn set(lines: &[&str]) -> BTreeSet<String> {
    lines.iter().map(|line| (*line).to_owned()).collect()
}

#[test]
fn under_cluster_everybody_reaches_every_endpoint_and_who_is_outside_is_masqueraded() {
    let expected = [
        "-A SERVICES -d 10.96.0.1/32 -p tcp -m tcp --dport 80 -j SVC",
        "-A SERVICES -d 203.0.113.1/32 -p tcp -m tcp --dport 80 -j EXT",
        "-A SERVICES -d 203.0.113.2/32 -p tcp -m tcp --dport 80 -j EXT",
        "-A NODEPORTS -p tcp -m tcp --dport 30080 -j EXT",
        "-A EXT -j MARK-MASQ",
        "-A EXT -j SVC",
        "-A SVC ! -s 10.1.0.0/16 -d 10.96.0.1/32 -p tcp -m tcp --dport 80 -j MARK-MASQ",
        "-A SVC -m statistic --mode random --probability 0.50000000000 -j SEP",
        "-A SVC -j SEP",
        "-A SEP -s 10.1.0.1/32 -j MARK-MASQ",
        "-A SEP -p tcp -m tcp -j DNAT --to-destination 10.1.0.1:8080",
        "-A SEP -s 10.2.0.1/32 -j MARK-MASQ",
        "-A SEP -p tcp -m tcp -j DNAT --to-destination 10.2.0.1:8080",
    ];
    let port = web(&["*10.1.0.1", "10.2.0.1"]);
    assert_eq!(rules(&port, Table::Nat), set(&expected));
    assert_eq!(rules(&port, Table::Filter), set(&[]));
}

#[test]
fn under_local_outside_clients_reach_endpoints_of_this_node_and_pods_and_the_node_reach_all() {
    let local = |endpoints: &[&str]| ServicePort { external_traffic_policy: TrafficPolicy::Local, ..web(endpoints) };
    let of_ext = |endpoints: &[&str]| -> BTreeSet<String> {
        rules(&local(endpoints), Table::Nat).into_iter().filter(|rule| rule.starts_with("-A EXT")).collect()
    };
    let inside = [
        "-A EXT -s 10.1.0.0/16 -j SVC",
        "-A EXT -m addrtype --src-type LOCAL -j MARK-MASQ",
        "-A EXT -m addrtype --src-type LOCAL -j SVC",
    ];
    let mut with_local = set(&inside);
    with_local.insert("-A EXT -j SVL".into());
    assert_eq!(of_ext(&["*10.1.0.1", "10.2.0.1"]), with_local);
    assert_eq!(of_ext(&["10.2.0.1"]), set(&inside));
    let dropped = [
        "-A EXTERNAL-SERVICES -d 203.0.113.1/32 -p tcp -m tcp --dport 80 -j DROP",
        "-A EXTERNAL-SERVICES -d 203.0.113.2/32 -p tcp -m tcp --dport 80 -j DROP",
        "-A NODEPORTS -p tcp -m tcp --dport 30080 -j DROP",
    ];
    assert_eq!(rules(&local(&["10.2.0.1"]), Table::Filter), set(&dropped));
}

#[test]
fn without_any_endpoint_every_frontend_is_refused() {
    let reject = "-j REJECT --reject-with tcp-reset";
    let expected = [
        format!("-A SERVICES -d 10.96.0.1/32 -p tcp -m tcp --dport 80 {reject}"),
        format!("-A EXTERNAL-SERVICES -d 203.0.113.1/32 -p tcp -m tcp --dport 80 {reject}"),
        format!("-A EXTERNAL-SERVICES -d 203.0.113.2/32 -p tcp -m tcp --dport 80 {reject}"),
        format!("-A NODEPORTS -p tcp -m tcp --dport 30080 {reject}"),
    ];
    assert_eq!(rules(&web(&[]), Table::Filter), expected.into());
    assert_eq!(rules(&web(&[]), Table::Nat), set(&[]));
}

#[test]
fn under_an_internal_local_policy_the_cluster_ip_has_only_the_endpoints_of_this_node() {
    let inside = |endpoints: &[&str]| ServicePort { internal_traffic_policy: TrafficPolicy::Local, ..web(endpoints) };
    let to = "-d 10.96.0.1/32 -p tcp -m tcp --dport 80";
    let here = rules(&inside(&["*10.1.0.1", "10.2.0.1"]), Table::Nat);
    assert!(here.contains(&format!("-A SERVICES {to} -j SVL")) && here.contains("-A SVL -j SEP"), "{here:#?}");
    let nobody = inside(&["10.2.0.1"]);
    assert_eq!(rules(&nobody, Table::Filter), [format!("-A SERVICES {to} -j DROP")].into());
    assert!(!rules(&nobody, Table::Nat).iter().any(|rule| rule.contains("10.96.0.1")));
}

#[test]
fn sources_that_may_not_use_a_frontend_are_dropped_before_they_learn_of_endpoints() {
    let ranges: BTreeSet<IpNetwork> = ["192.0.2.0/24".parse().unwrap()].into();
    let port = |endpoints: &[&str]| ServicePort { source_ranges: Some(ranges.clone()), ..web(endpoints) };
    let nat = rules(&port(&["10.2.0.1"]), Table::Nat);
    assert!(nat.contains("-A SERVICES -d 203.0.113.2/32 -p tcp -m tcp --dport 80 -j FW"), "{nat:#?}");
    assert!(
        nat.contains("-A FW -s 192.0.2.0/24 -j EXT") && nat.contains("-A NODEPORTS -p tcp -m tcp --dport 30080 -j EXT")
    );
    for endpoints in [&["10.2.0.1"][..], &[]] {
        let filter = rules(&port(endpoints), Table::Filter);
        let firewall = "-A PROXY-FIREWALL -d 203.0.113.2/32 -p tcp -m tcp --dport 80 -j FW";
        for rule in [firewall, "-A FW -s 192.0.2.0/24 -j RETURN", "-A FW -j DROP"] {
            assert!(filter.contains(rule), "{rule} of {filter:#?}");
        }
    }
}

#[test]
fn a_bound_client_is_led_to_its_endpoint_before_any_is_chosen() {
    let port = ServicePort { session_affinity: Some(600), ..web(&["10.2.0.1"]) };
    let nat = rules(&port, Table::Nat);
    let mask = "--name SEP --mask 255.255.255.255 --rsource";
    assert!(nat.contains(&format!("-A SVC -m recent --rcheck --seconds 600 --reap {mask} -j SEP")), "{nat:#?}");
    let bind = format!("-A SEP -p tcp -m recent --set {mask} -m tcp -j DNAT --to-destination 10.2.0.1:8080");
    assert!(nat.contains(&bind), "{nat:#?}");
}

#[test]
fn only_what_differs_is_written_and_what_is_gone_goes_last() {
    let mut before = Wanted::default();
    before.rule(Table::Nat, "A", "-j B");
    before.rule(Table::Nat, "B", "-j DNAT");
    before.entry(Table::Nat, "ALL", "-j A");
    let mut after = Wanted::default();
    after.rule(Table::Nat, "A", "-j C");
    after.rule(Table::Nat, "C", "-j DNAT");
    after.entry(Table::Nat, "ALL", "-d 10.0.0.1/32 -j A");
    assert!(before.changes(&before.present()).is_empty());
    let changes: Restore = after.changes(&before.present());
    let expected = [
        ":A - [0:0]",
        ":C - [0:0]",
        ":B - [0:0]",
        "-A A -j C",
        "-A C -j DNAT",
        "-D ALL -j A",
        "-I ALL -d 10.0.0.1/32 -j A",
        "-X B",
    ];
    assert_eq!(changes.lines(Table::Nat).collect::<Vec<_>>(), expected);
}

#[test]
fn a_frontend_is_of_one_service_port_at_a_time() {
    let image = Image::default();
    let key = proxy_common::tables::ServiceKey::new(Addr::from(ip("10.96.0.1")), Number::new(80), 17);
    let mut frontends = Frontends::new(&image);
    assert_eq!(frontends.set(key, Some(1)), None);
    assert_eq!(frontends.set(key, Some(2)), Some(1));
    assert_eq!((frontends.of(1).len(), frontends.of(2).len()), (0, 1));
    assert_eq!(frontends.set(key, None), Some(2));
    assert_eq!(frontends.ids().count(), 0);
}

#[test]
fn node_ports_are_reached_by_the_addresses_that_serve_them() {
    let on = |serving: &[&str], idle: &[&str]| -> Vec<String> {
        let node_port = address_flags::NODE | address_flags::NODE_PORT;
        let entry = |flags: u32| move |text: &&str| (Addr::from(ip(text)), Address { flags });
        let of_node = serving.iter().map(entry(node_port)).chain(idle.iter().map(entry(address_flags::NODE)));
        let mut wanted = Wanted::default();
        node_ports::add(&mut wanted, Family::V4, &of_node.collect());
        wanted.changes(&Present::default()).lines(Table::Nat).map(plain).collect()
    };
    assert_eq!(on(&["192.0.2.1", "127.0.0.1"], &[]), ["-A SERVICES -m addrtype --dst-type LOCAL -j NODEPORTS"]);
    assert_eq!(
        on(&["192.0.2.1"], &["127.0.0.1"]),
        ["-A SERVICES ! -d 127.0.0.0/8 -m addrtype --dst-type LOCAL -j NODEPORTS"]
    );
    assert_eq!(
        on(&["192.0.2.1", "127.0.0.1"], &["192.0.2.2"]),
        ["-A SERVICES -d 192.0.2.1/32 -j NODEPORTS", "-A SERVICES -d 127.0.0.0/8 -j NODEPORTS"]
    );
    assert_eq!(on(&[], &["192.0.2.1", "127.0.0.1"]), Vec::<String>::new());
}
