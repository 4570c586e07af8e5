//! Which frontend, and which endpoint, on plain tables.

extern crate std;

use core::net::IpAddr;
use std::collections::BTreeSet;
use std::vec::Vec;

use super::*;
use crate::addr::{
    Family,
    protocol::{SCTP, TCP, UDP},
};
use crate::plain::PlainTables;
use crate::tables::{backend_flags, member_flags};

const ID: u32 = 7;
const NOW: u32 = 1_000;
const TIMEOUT: u32 = 60;
const CLUSTER_IP: &str = "10.96.0.1";

fn addr(text: &str) -> Addr {
    text.parse::<IpAddr>().unwrap().into()
}

fn endpoint(number: u8) -> Addr {
    addr(&std::format!("10.244.0.{number}"))
}

fn key(text: &str) -> ServiceKey {
    ServiceKey::new(addr(text), Port::new(80), TCP)
}

/// Ten endpoints, the last three of them on this node, behind a ClusterIP and the node port 30080.
fn tables(service: Service) -> PlainTables {
    let mut tables = PlainTables::default();
    let service = Service { id: ID, cluster: 10, local: 3, ..service };
    tables.serve(key(CLUSTER_IP), service);
    let node_port = service_flags::EXTERNAL | service_flags::NODE_PORT | service_flags::LOCAL_ONLY;
    let node_port = Service { flags: service.flags | node_port, ..service };
    tables.serve(ServiceKey::new(Family::V4.any(), Port::new(30080), TCP), node_port);
    let node = Address { flags: address_flags::NODE | address_flags::NODE_PORT };
    tables.addresses.extend([(addr("192.0.2.11"), node), (addr("127.0.0.1"), node)]);
    for number in 0..10_u8 {
        let is_local = number >= 7;
        let (port, addr) = (Port::new(8080), endpoint(number));
        let backend = Backend { addr, port, flags: if is_local { backend_flags::LOCAL } else { 0 } };
        tables.backends.insert(BackendKey::new(ID, EndpointSet::Cluster, u32::from(number)), backend);
        if is_local {
            tables.backends.insert(BackendKey::new(ID, EndpointSet::Local, u32::from(number) - 7), backend);
        }
        let local = if is_local { member_flags::LOCAL | member_flags::ON_NODE } else { 0 };
        tables.members.insert(MemberKey::new(ID, addr, port), Member { flags: member_flags::CLUSTER | local });
    }
    tables
}

fn with_affinity() -> PlainTables {
    tables(Service { affinity_timeout: TIMEOUT, ..Service::default() })
}

fn ask_port(tables: &PlainTables, port: u16, source: &str) -> Addr {
    ask(tables, (CLUSTER_IP, port), Client::Pod, source, NOW).unwrap()
}

fn ask(tables: &PlainTables, to: (&str, u16), client: Client, source: &str, now: u32) -> Result<Addr, Stop> {
    let (key, service) = find(tables, client, addr(to.0), Port::new(to.1), TCP)?;
    admit(tables, &service, &addr(source))?;
    let (_, backend) = choose_for(tables, &key, service, &Request { client, source: addr(source), now })?;
    Ok(backend.addr)
}

fn pod_asks(tables: &PlainTables, source: &str, now: u32) -> Addr {
    ask(tables, (CLUSTER_IP, 80), Client::Pod, source, now).unwrap()
}

fn answers(asking: impl FnMut(u32) -> Addr) -> usize {
    (0..60).map(asking).collect::<BTreeSet<_>>().len()
}

#[test]
fn a_cluster_ip_refuses_a_port_that_no_service_port_has() {
    let tables = tables(Service::default());
    for client in [Client::Pod, Client::Node, Client::Outside] {
        let refused = find(&tables, client, addr(CLUSTER_IP), Port::new(81), TCP);
        assert_eq!(refused, Err(Stop::Drop(Reason::NoSuchPort)));
        assert_eq!(find_no_port(&tables, client, addr(CLUSTER_IP)), Stop::Drop(Reason::NoSuchPort));
    }
}

#[test]
fn s2_1_a_frontend_takes_its_own_protocol_alone() {
    let mut tables = tables(Service::default());
    tables.serve(key("203.0.113.1"), Service { id: ID, flags: service_flags::EXTERNAL, ..Service::default() });
    for (to, port, otherwise) in [
        (CLUSTER_IP, 80, Stop::Drop(Reason::NoSuchPort)),
        ("203.0.113.1", 80, Stop::NotOurs),
        ("192.0.2.11", 30080, Stop::NotOurs),
    ] {
        let at = |protocol| find(&tables, Client::Outside, addr(to), Port::new(port), protocol).map(|(_, it)| it.id);
        assert_eq!((at(TCP), at(UDP), at(SCTP)), (Ok(ID), Err(otherwise), Err(otherwise)), "{to}");
    }
}

#[test]
fn s2_6_every_other_frontend_comes_before_a_node_port() {
    let mut tables = tables(Service::default());
    let external = ServiceKey::new(addr("192.0.2.11"), Port::new(30080), TCP);
    let at_node_port = |tables: &PlainTables| {
        find(tables, Client::Outside, external.addr, Port::new(30080), TCP).map(|(_, service)| service.id)
    };
    assert_eq!(at_node_port(&tables), Ok(ID));
    tables.serve(external, Service { id: ID + 1, flags: service_flags::EXTERNAL, ..Service::default() });
    tables.addresses.get_mut(&external.addr).unwrap().flags |= address_flags::NODE | address_flags::NODE_PORT;
    assert_eq!(at_node_port(&tables), Ok(ID + 1));
}

#[test]
fn other_addresses_refuse_nothing() {
    let mut tables = tables(Service::default());
    tables.serve(key("203.0.113.1"), Service { flags: service_flags::EXTERNAL, ..Service::default() });
    for other in ["192.0.2.11", "203.0.113.1", "10.96.0.2"] {
        assert_eq!(find(&tables, Client::Pod, addr(other), Port::new(81), TCP), Err(Stop::NotOurs), "{other}");
        assert_eq!(find_no_port(&tables, Client::Pod, addr(other)), Stop::NotOurs, "{other}");
    }
}

#[test]
fn a_cluster_ip_that_an_interface_of_the_node_has_refuses_nothing() {
    let mut tables = tables(Service::default());
    tables.addresses.get_mut(&addr(CLUSTER_IP)).unwrap().flags |= address_flags::NODE;
    assert_eq!(find(&tables, Client::Pod, addr(CLUSTER_IP), Port::new(81), TCP), Err(Stop::NotOurs));
}

#[test]
fn loopback_node_ports_are_the_nodes_alone() {
    let tables = tables(Service::default());
    for any in ["127.0.0.1", "127.8.8.8"] {
        let to = |client| find(&tables, client, addr(any), Port::new(30080), TCP).map(|(_, service)| service.id);
        assert_eq!(to(Client::Node), Ok(ID));
        assert_eq!(to(Client::Pod), Err(Stop::NotOurs));
        assert_eq!(to(Client::Outside), Err(Stop::NotOurs));
    }
}

#[test]
fn affinity_binds_a_client_to_one_endpoint() {
    let tables = with_affinity();
    assert_eq!(answers(|now| pod_asks(&tables, "10.244.1.1", NOW + now)), 1);
    assert!(answers(|client| pod_asks(&tables, &std::format!("10.244.1.{client}"), NOW)) > 3);
}

#[test]
fn without_affinity_each_connection_is_a_new_choice() {
    let tables = tables(Service::default());
    assert!(answers(|_| pod_asks(&tables, "10.244.1.1", NOW)) > 3);
    assert!(tables.affinity.borrow().is_empty());
}

#[test]
fn affinity_lasts_for_its_time_out_after_the_last_connection() {
    let tables = with_affinity();
    let first = pod_asks(&tables, "10.244.1.1", NOW);
    assert_eq!(pod_asks(&tables, "10.244.1.1", NOW + TIMEOUT), first);
    assert_eq!(pod_asks(&tables, "10.244.1.1", NOW + 2 * TIMEOUT), first, "each connection extends it");
    let after = |round: u32| pod_asks(&tables, "10.244.1.1", NOW + (3 + 2 * round) * TIMEOUT);
    assert!(answers(after) > 3);
}

#[test]
fn affinity_holds_through_every_frontend_while_its_set_has_the_endpoint() {
    let tables = with_affinity();
    let outside = |now| ask(&tables, ("192.0.2.11", 30080), Client::Outside, "10.244.1.1", now).unwrap();
    let local = outside(NOW);
    assert_eq!(pod_asks(&tables, "10.244.1.1", NOW), local, "an endpoint of this node is one of the cluster's");
    let remote: Vec<u8> = (0..250)
        .filter(|host| (0..7).map(endpoint).any(|it| it == pod_asks(&tables, &std::format!("10.244.2.{host}"), NOW)))
        .collect();
    let client = std::format!("10.244.2.{}", remote[0]);
    let here = ask(&tables, ("192.0.2.11", 30080), Client::Outside, &client, NOW).unwrap();
    assert!((7..10).map(endpoint).any(|it| it == here), "one elsewhere can't serve a Local policy");
}

#[test]
fn s5_2_affinity_of_one_service_port_is_nothing_to_another() {
    let mut tables = with_affinity();
    let other = ServiceKey::new(addr(CLUSTER_IP), Port::new(81), TCP);
    let service = Service { id: ID + 1, ..tables.services[&key(CLUSTER_IP)] };
    tables.serve(other, service);
    for number in 0..10 {
        let backend = tables.backends[&BackendKey::new(ID, EndpointSet::Cluster, number)];
        tables.backends.insert(BackendKey::new(ID + 1, EndpointSet::Cluster, number), backend);
        tables
            .members
            .insert(MemberKey::new(ID + 1, backend.addr, backend.port), Member { flags: member_flags::CLUSTER });
    }
    let at = |port, client: u32| ask_port(&tables, port, &std::format!("10.244.1.{client}"));
    assert!((0..60).any(|client| at(80, client) != at(81, client)));
    assert!((0..60).all(|client| at(80, client) == at(80, client) && at(81, client) == at(81, client)));
}

#[test]
fn affinity_ends_with_its_endpoint_and_with_its_generation() {
    let mut tables = with_affinity();
    let first = pod_asks(&tables, "10.244.1.1", NOW);
    tables.members.remove(&MemberKey::new(ID, first, Port::new(8080)));
    assert!(
        answers(|_| {
            tables.affinity.borrow_mut().values_mut().for_each(|bound| bound.addr = first);
            pod_asks(&tables, "10.244.1.1", NOW)
        }) > 3
    );

    let mut tables = with_affinity();
    pod_asks(&tables, "10.244.1.1", NOW);
    let fresh = answers(|generation| {
        tables.services.values_mut().for_each(|service| service.affinity_generation = generation + 1);
        pod_asks(&tables, "10.244.1.1", NOW)
    });
    assert!(fresh > 3);
}

#[test]
fn of_two_first_connections_at_once_the_faster_decides() {
    let tables = with_affinity();
    let (_, service) = find(&tables, Client::Pod, addr(CLUSTER_IP), Port::new(80), TCP).unwrap();
    let asking = Asking::new(&service, &Request { client: Client::Pod, source: addr("10.244.1.1"), now: NOW });
    let backend = |number| Backend { addr: endpoint(number), port: Port::new(8080), flags: 0 };
    assert!(asking.bind_first(&tables, &backend(1)) && !asking.bind_first(&tables, &backend(2)));
    let mut slower = backend(2);
    assert!(asking.bound(&tables, &mut slower));
    assert_eq!(slower.addr, endpoint(1));
}

#[test]
fn only_sources_in_range_may_and_others_learn_nothing_of_endpoints() {
    let mut tables = tables(Service::default());
    let external = service_flags::EXTERNAL | service_flags::SOURCE_RANGES;
    tables.serve(key("203.0.113.1"), Service { id: ID, cluster: 10, flags: external, ..Service::default() });
    tables.source_ranges.push((ID, "198.51.100.0/28".parse().unwrap()));
    tables.source_ranges.push((ID + 1, "198.51.100.0/24".parse().unwrap()));
    let ask = |tables: &PlainTables, source| ask(tables, ("203.0.113.1", 80), Client::Outside, source, NOW);
    assert!(ask(&tables, "198.51.100.15").is_ok());
    assert_eq!(ask(&tables, "198.51.100.16"), Err(Stop::Drop(Reason::SourceRange)));
    for service in tables.services.values_mut() {
        service.cluster = 0;
    }
    assert_eq!(ask(&tables, "198.51.100.16"), Err(Stop::Drop(Reason::SourceRange)));
    assert_eq!(ask(&tables, "198.51.100.15"), Err(Stop::Drop(Reason::NoEndpoints)));
}
