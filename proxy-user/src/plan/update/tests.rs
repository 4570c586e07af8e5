use ipnetwork::IpNetwork;
use proptest::prelude::*;

use proxy_common::addr::{Addr, Port};
use proxy_common::tables::{Address, Backend, EndpointSet, Member, MemberKey, Service, address_flags, member_flags};

use super::*;
use crate::model::fixtures::{endpoint, ip, service_port};
use crate::model::{Endpoint, Frontend, FrontendKind, TrafficPolicy};

mod addresses;
mod clients;
mod reader;

use reader::{View, check_every_step};

fn empty() -> Plan {
    Plan::adopt(Image::default(), Limits::default())
}

fn web() -> ServiceRef {
    ServiceRef::new("default", "web")
}

/// Carries out a change of one Service.
fn update(plan: &mut Plan, service: &ServiceRef, ports: &[ServicePort]) -> Vec<Write> {
    plan.update(&BTreeMap::from([(service.clone(), ports.to_vec())]))
}

/// The Service `web` with these endpoints.
fn web_port(endpoints: &[&str]) -> ServicePort {
    service_port("web", "", "10.96.0.1", endpoints.iter().map(|text| endpoint(text)).collect())
}

/// The same with an external IP that only these may use.
fn restricted(mut port: ServicePort, ranges: &[&str]) -> ServicePort {
    port.frontends.push(external("203.0.113.1", 80));
    port.source_ranges = Some(ranges.iter().map(|text| text.parse().unwrap()).collect());
    port
}

fn external(text: &str, port: u16) -> Frontend {
    Frontend { kind: FrontendKind::ExternalIp, addr: ip(text), port, protocol: Protocol::Tcp }
}

fn planned(ports: &[ServicePort]) -> Plan {
    let mut plan = empty();
    for port in ports {
        update(&mut plan, &port.name.service, std::slice::from_ref(port));
    }
    plan
}

fn addr(text: &str) -> Addr {
    text.parse::<std::net::IpAddr>().unwrap().into()
}

fn backend(text: &str) -> Backend {
    Backend { addr: addr(text), port: Port::new(8080), flags: 0 }
}

fn slot(slot: u32) -> BackendKey {
    BackendKey::new(1, EndpointSet::Cluster, slot)
}

fn member(text: &str) -> MemberKey {
    MemberKey::new(1, addr(text), Port::new(8080))
}

fn put_member(text: &str) -> Write {
    Write::PutMember(member(text), Member { flags: member_flags::CLUSTER })
}

fn web_key() -> ServiceKey {
    ServiceKey::new(addr("10.96.0.1"), Port::new(80), 6)
}

fn web_with(count: u32) -> Service {
    Service { id: 1, cluster: count, ..Service::default() }
}

fn is_deletion(write: &Write) -> bool {
    write.frees_an_entry()
}

#[test]
fn a_new_service_is_written_from_its_name_to_its_frontend() {
    let writes = update(&mut empty(), &web(), &[web_port(&["10.0.0.1"])]);
    let name = name::to_table(&web_port(&[]).name);
    assert_eq!(
        writes,
        [
            Write::PutName(1, Box::new(name)),
            put_member("10.0.0.1"),
            Write::PutBackend(slot(0), backend("10.0.0.1")),
            Write::PutService(web_key(), web_with(1)),
            Write::PutAddress(
                addr("10.96.0.1"),
                Address { flags: address_flags::FRONTEND | address_flags::CLUSTER_IP }
            ),
        ]
    );
}

#[test]
fn an_added_endpoint_costs_three_writes() {
    let mut plan = planned(&[web_port(&["10.0.0.1"])]);
    assert_eq!(
        update(&mut plan, &web(), &[web_port(&["10.0.0.1", "10.0.0.2"])]),
        [
            put_member("10.0.0.2"),
            Write::PutBackend(slot(1), backend("10.0.0.2")),
            Write::PutService(web_key(), web_with(2)),
        ]
    );
}

#[test]
fn the_last_endpoint_moves_into_the_slot_of_a_removed_one() {
    let mut plan = planned(&[web_port(&["10.0.0.1", "10.0.0.2", "10.0.0.3"])]);
    assert_eq!(
        update(&mut plan, &web(), &[web_port(&["10.0.0.2", "10.0.0.3"])]),
        [
            Write::PutBackend(slot(0), backend("10.0.0.3")),
            Write::PutService(web_key(), web_with(2)),
            Write::DeleteBackend(slot(2)),
            Write::DeleteMember(member("10.0.0.1")),
            Write::AdvanceEpoch,
        ]
    );
}

#[test]
fn a_replaced_endpoint_leaves_its_slot_to_the_new_one() {
    let mut plan = planned(&[web_port(&["10.0.0.1", "10.0.0.2"])]);
    assert_eq!(
        update(&mut plan, &web(), &[web_port(&["10.0.0.2", "10.0.0.9"])]),
        [
            put_member("10.0.0.9"),
            Write::PutBackend(slot(0), backend("10.0.0.9")),
            Write::DeleteMember(member("10.0.0.1")),
            Write::AdvanceEpoch,
        ]
    );
}

#[test]
fn one_change_among_ten_thousand_endpoints_is_a_handful_of_writes() {
    let endpoints: Vec<String> = (0..10_000).map(|n| format!("10.1.{}.{}", n / 256, n % 256)).collect();
    let endpoints: Vec<&str> = endpoints.iter().map(String::as_str).collect();
    let mut plan = planned(&[web_port(&endpoints)]);
    assert_eq!(update(&mut plan, &web(), &[web_port(&endpoints[1..])]).len(), 5);
    assert_eq!(update(&mut plan, &web(), &[web_port(&endpoints)]).len(), 3);
}

#[test]
fn an_update_that_changes_nothing_writes_nothing() {
    let mut plan = planned(&[web_port(&["10.0.0.1"])]);
    assert_eq!(update(&mut plan, &web(), &[web_port(&["10.0.0.1"])]), []);
}

#[test]
fn an_endpoint_that_proves_local_is_rewritten_in_its_slot() {
    let mut plan = planned(&[web_port(&["10.0.0.1", "10.0.0.2"])]);
    let mut port = web_port(&["10.0.0.1", "10.0.0.2"]);
    port.endpoints[1].is_local = true;
    let writes = update(&mut plan, &web(), &[port]);
    assert!(writes.contains(&Write::PutBackend(slot(1), Backend { flags: 1, ..backend("10.0.0.2") })), "{writes:?}");
}

#[test]
fn a_service_that_goes_takes_every_entry_with_it() {
    let mut plan = planned(&[web_port(&["10.0.0.1", "10.0.0.2"])]);
    let writes = update(&mut plan, &web(), &[]);
    assert!(matches!(writes[0], Write::DeleteService(_)), "readers are turned away first: {writes:?}");
    assert!(matches!(writes.last(), Some(Write::DeleteName(1))), "{writes:?}");
    assert_eq!(*plan.image(), Image::default());
}

#[test]
fn a_frontend_that_moves_between_services_is_never_missing() {
    for (old, new) in [("a", "b"), ("b", "a")] {
        let port = |service| service_port(service, "", "10.96.0.1", vec![endpoint("10.0.0.1")]);
        let mut plan = planned(&[port(old)]);
        let before = plan.image().clone();
        let (old, new) = (port(old).name.service, port(new));
        let writes = plan.update(&BTreeMap::from([(old, vec![]), (new.name.service.clone(), vec![new])]));
        check_every_step(&before, &writes);
        assert_eq!(plan.image().services[&web_key()].id, 2);
    }
}

#[test]
fn a_freed_number_is_not_the_next_to_be_given() {
    let mut plan = planned(&[web_port(&[])]);
    update(&mut plan, &web(), &[]);
    update(&mut plan, &web(), &[web_port(&[])]);
    assert_eq!(plan.image().names.keys().collect::<Vec<_>>(), [&2]);
}

#[test]
fn a_restart_keeps_numbers_and_slots_and_writes_nothing() {
    let port = web_port(&["10.0.0.3", "10.0.0.1"]);
    let mut first = planned(&[service_port("gone", "", "10.96.0.9", vec![]), port.clone()]);
    update(&mut first, &ServiceRef::new("default", "gone"), &[]);
    let mut second = Plan::adopt(first.image().clone(), Limits::default());
    assert_eq!(update(&mut second, &web(), &[port]), []);
    assert_eq!(second.finish_first_sync(|_| false), []);
}

#[test]
fn what_was_found_goes_only_after_the_first_full_list() {
    let old = service_port("old", "", "10.96.0.9", vec![endpoint("10.0.0.9")]);
    let before = planned(&[old, web_port(&["10.0.0.1"])]);
    let mut plan = Plan::adopt(before.image().clone(), Limits::default());
    assert_eq!(update(&mut plan, &web(), &[web_port(&["10.0.0.1"])]), []);
    assert!(plan.finish_first_sync(|_| false).iter().any(is_deletion));
    assert_eq!(View::of(plan.image()), View::of(planned(&[web_port(&["10.0.0.1"])]).image()));
}

#[test]
fn what_was_found_and_may_be_asked_for_stays_until_that_is_known_while_the_rest_goes() {
    let old = |name, ip| service_port(name, "", ip, vec![endpoint("10.0.0.9")]);
    let before = planned(&[old("bad", "10.96.0.8"), old("gone", "10.96.0.9"), web_port(&["10.0.0.1"])]);
    let mut plan = Plan::adopt(before.image().clone(), Limits::default());
    update(&mut plan, &web(), &[web_port(&["10.0.0.1"])]);
    plan.finish_first_sync(|service| service.name == "bad");
    let expected = planned(&[old("bad", "10.96.0.8"), web_port(&["10.0.0.1"])]);
    assert_eq!(View::of(plan.image()), View::of(expected.image()));
    assert_eq!(plan.unconfirmed().map(|it| it.name.as_str()).collect::<Vec<_>>(), ["bad"]);
    plan.finish_first_sync(|_| false);
    assert_eq!(View::of(plan.image()), View::of(planned(&[web_port(&["10.0.0.1"])]).image()));
}

#[test]
fn entries_without_a_name_are_cleared_away() {
    let mut image = planned(&[web_port(&["10.0.0.1"])]).image().clone();
    image.services.insert(ServiceKey::new(addr("10.96.0.7"), Port::new(80), 6), Service { id: 9, ..web_with(1) });
    image.backends.insert(BackendKey::new(9, EndpointSet::Local, 3), backend("10.0.0.9"));
    image.backends.insert(slot(7), backend("10.0.0.9"));
    image.members.insert(MemberKey::new(9, addr("10.0.0.9"), Port::new(8080)), Member::default());
    let mut plan = Plan::adopt(image, Limits::default());
    update(&mut plan, &web(), &[web_port(&["10.0.0.1"])]);
    plan.finish_first_sync(|_| false);
    assert_eq!(View::of(plan.image()), View::of(planned(&[web_port(&["10.0.0.1"])]).image()));
}

#[test]
fn a_service_that_has_no_room_is_refused_and_the_others_go_on() {
    let mut plan = Plan::adopt(Image::default(), Limits { backends: 2, ..Limits::default() });
    assert_eq!(update(&mut plan, &web(), &[web_port(&["10.0.0.1", "10.0.0.2", "10.0.0.3"])]), []);
    let small = service_port("small", "", "10.96.0.2", vec![endpoint("10.0.0.4")]);
    assert_eq!(update(&mut plan, &small.name.service, std::slice::from_ref(&small)).len(), 5);
    let message = plan.refused().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(message.len(), 1);
    assert!(message[0].contains("default/web") && message[0].contains("BACKENDS"), "{message:?}");
}

#[test]
fn a_service_is_refused_whole_although_one_of_its_ports_has_room() {
    let mut plan = Plan::adopt(Image::default(), Limits { members: 2, ..Limits::default() });
    let port = |name, ip, endpoints: &[&str]| {
        service_port("web", name, ip, endpoints.iter().map(|text| endpoint(text)).collect())
    };
    let (old, new) = (port("old", "10.96.0.1", &["10.0.0.1"]), port("new", "10.96.0.2", &["10.0.0.2", "10.0.0.3"]));
    assert_eq!(update(&mut plan, &web(), &[old.clone(), new.clone()]), [], "room for the first port alone");
    assert_ne!(update(&mut plan, &web(), std::slice::from_ref(&old)), []);
    assert_eq!(update(&mut plan, &web(), std::slice::from_ref(&new)), [], "the old port stays until the new one fits");
    assert_eq!(plan.refused().map(|error| error.service.to_string()).collect::<Vec<_>>(), ["default/web"]);
    assert_eq!(View::of(plan.image()), View::of(planned(&[old]).image()));
}

#[test]
fn each_table_has_its_limit() {
    let none = Limits { services: 9, backends: 9, members: 9, names: 9, source_ranges: 9 };
    for (limits, table) in [
        (Limits { services: 0, ..none }, "SERVICES"),
        (Limits { backends: 0, ..none }, "BACKENDS"),
        (Limits { members: 0, ..none }, "MEMBERS"),
        (Limits { names: 0, ..none }, "SERVICE_NAMES"),
        (Limits { source_ranges: 0, ..none }, "SOURCE_RANGES"),
    ] {
        let mut plan = Plan::adopt(Image::default(), limits);
        let port = restricted(web_port(&["10.0.0.1"]), &["192.0.2.0/24"]);
        assert_eq!(update(&mut plan, &web(), &[port]), []);
        assert_eq!(plan.refused().map(|error| error.table).collect::<Vec<_>>(), [table]);
    }
}

#[test]
fn a_change_that_has_no_room_leaves_the_service_as_it_was() {
    let mut plan = Plan::adopt(Image::default(), Limits { members: 2, ..Limits::default() });
    update(&mut plan, &web(), &[web_port(&["10.0.0.1", "10.0.0.2"])]);
    let before = plan.image().clone();
    assert_eq!(update(&mut plan, &web(), &[web_port(&["10.0.0.1", "10.0.0.2", "10.0.0.3"])]), []);
    assert_eq!((plan.image(), plan.refused().count()), (&before, 1));
}

#[test]
fn what_was_refused_is_written_when_others_go() {
    let mut plan = Plan::adopt(Image::default(), Limits { services: 1, ..Limits::default() });
    let other = service_port("other", "", "10.96.0.2", vec![endpoint("10.0.0.4")]);
    update(&mut plan, &web(), &[web_port(&["10.0.0.1"])]);
    update(&mut plan, &other.name.service, std::slice::from_ref(&other));
    assert_eq!(plan.refused().count(), 1);
    let writes = update(&mut plan, &web(), &[]);
    assert!(writes.iter().any(|write| matches!(write, Write::PutService(..))), "{writes:?}");
    assert_eq!(plan.refused().count(), 0);
    assert_eq!(View::of(plan.image()), View::of(planned(&[other]).image()));
}

#[test]
fn a_refused_service_that_goes_is_forgotten() {
    let mut plan = Plan::adopt(Image::default(), Limits { services: 0, ..Limits::default() });
    update(&mut plan, &web(), &[web_port(&[])]);
    update(&mut plan, &web(), &[]);
    assert_eq!(plan.refused().count(), 0);
}

fn any_endpoints() -> impl Strategy<Value = Vec<Endpoint>> {
    let conditions = any::<[bool; 4]>();
    proptest::collection::btree_map((0_u8..12, 0_u16..2), conditions, 0..8).prop_map(|endpoints| {
        let endpoint = |((host, port), [is_local, ready, serving, terminating]): ((u8, u16), [bool; 4])| Endpoint {
            port: 8080 + port,
            is_local,
            ready,
            serving,
            terminating,
            ..endpoint(&format!("10.0.0.{host}"))
        };
        endpoints.into_iter().map(endpoint).collect()
    })
}

/// What a Service port is to its clients: sessions and sources.
fn any_clients() -> impl Strategy<Value = (Option<u32>, Option<BTreeSet<IpNetwork>>)> {
    let ranges = proptest::collection::btree_set(proptest::sample::select(reader::RANGES.to_vec()), 0..3);
    let ranges = ranges.prop_map(|texts| texts.into_iter().map(|text| text.parse().unwrap()).collect());
    (proptest::option::of(1_u32..3), proptest::option::of(ranges))
}

/// States of one Service: ports come, go and are renamed, and frontends move between them. Each has an address of its own,
/// a port of an address they share, and an external IP.
fn any_ports() -> impl Strategy<Value = Vec<ServicePort>> {
    let port = (any::<[bool; 4]>(), any_clients(), any_endpoints());
    proptest::collection::btree_map(0_u16..3, port, 0..3).prop_map(|ports| {
        let build = |(place, (which, (flags, clients, endpoints))): (usize, (u16, (_, _, _)))| {
            let [has_node_port, has_shared, internal, external_local]: [bool; 4] = flags;
            let policy = |local| if local { TrafficPolicy::Local } else { TrafficPolicy::Cluster };
            let name = ["a", "b", "c"][usize::from(which)];
            let mut port = service_port("web", name, ["10.96.0.1", "10.96.0.2", "10.96.0.3"][place], endpoints);
            port.internal_traffic_policy = policy(internal);
            port.external_traffic_policy = policy(external_local);
            (port.session_affinity, port.source_ranges) = clients;
            port.frontends.push(external("203.0.113.1", 80 + place as u16));
            if has_shared {
                let shared = Frontend { port: 8000 + which, addr: ip("10.96.0.9"), ..port.frontends[0] };
                port.frontends.push(shared);
            }
            if has_node_port {
                port.frontends.push(Frontend::node_port(Family::V4, 30000 + which, Protocol::Tcp));
            }
            port
        };
        ports.into_iter().enumerate().map(build).collect()
    })
}

/// A Service that no other shares an address or an endpoint with.
fn nth(number: u32, endpoints: u32) -> ServicePort {
    let endpoint = |which: u32| endpoint(&format!("10.{}.{}.{which}", number >> 8, number & 255));
    let cluster_ip = format!("172.16.{}.{}", number >> 8, number & 255);
    service_port(&format!("s{number}"), "", &cluster_ip, (1..=endpoints).map(endpoint).collect())
}

#[test]
fn one_endpoints_change_among_ten_thousand_services_is_a_handful_of_writes_about_that_service() {
    let service = |port: ServicePort| (port.name.service.clone(), vec![port]);
    let mut plan = empty();
    let first = plan.update(&(0..10_000).map(|number| service(nth(number, 10))).collect());
    assert_eq!(first.len(), 10_000 * (1 + 10 + 10 + 1 + 1), "name, members, slots, frontend, its address");
    let id = plan.image().services[&ServiceKey::new(addr("172.16.17.92"), Port::new(80), 6)].id;
    let before = plan.image().clone();
    let writes = plan.update(&[service(nth(0x115c, 9))].into());
    assert_eq!(
        writes,
        [
            Write::PutService(ServiceKey::new(addr("172.16.17.92"), Port::new(80), 6), Service { id, ..web_with(9) }),
            Write::DeleteBackend(BackendKey::new(id, EndpointSet::Cluster, 9)),
            Write::DeleteMember(MemberKey::new(id, addr("10.17.92.10"), Port::new(8080))),
            Write::AdvanceEpoch,
        ]
    );
    assert_eq!(plan.update(&[service(nth(0x115c, 10))].into()).len(), 3, "member, slot, frontend");
    assert_eq!(*plan.image(), before);
}

#[test]
fn puts_of_many_services_are_brought_together_by_table() {
    let ports = [nth(1, 2), nth(2, 2), nth(3, 2)];
    let writes = empty().update(&ports.map(|port| (port.name.service.clone(), vec![port])).into());
    let runs: Vec<usize> = writes.chunk_by(|a, b| a.stage() == b.stage()).map(<[_]>::len).collect();
    assert_eq!(runs, [3, 6, 6, 3, 3], "{writes:?}");
    check_every_step(&Image::default(), &writes);
}

proptest! {
    #[test]
    fn no_reader_ever_sees_half_a_change(states in proptest::collection::vec(any_ports(), 1..6)) {
        let mut plan = empty();
        for desired in states {
            let before = plan.image().clone();
            let writes = update(&mut plan, &web(), &desired);
            let after = check_every_step(&before, &writes);
            prop_assert_eq!(&after, plan.image());
            let mut from_scratch = empty();
            update(&mut from_scratch, &web(), &desired);
            prop_assert_eq!(View::of(&after), View::of(from_scratch.image()));
        }
    }

    #[test]
    fn an_agent_killed_after_any_write_is_taken_over(old in any_ports(), new in any_ports(), newest in any_ports(), at in 0_usize..40) {
        let mut killed = empty();
        update(&mut killed, &web(), &old);
        let mut image = killed.image().clone();
        for write in update(&mut killed, &web(), &new).iter().take(at) {
            image.apply(write);
        }
        let mut plan = Plan::adopt(image.clone(), Limits::default());
        let writes = update(&mut plan, &web(), &newest);
        image = check_every_step(&image, &writes);
        for write in plan.finish_first_sync(|_| false) {
            image.apply(&write);
        }
        let mut from_scratch = empty();
        update(&mut from_scratch, &web(), &newest);
        prop_assert_eq!(View::of(&image), View::of(from_scratch.image()));
    }
}
