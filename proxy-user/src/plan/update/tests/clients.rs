//! What depends on the client: session affinity and source ranges.

use super::*;
use crate::plan::SourcePrefix;

fn with_affinity(timeout: Option<u32>) -> ServicePort {
    let mut port = web_port(&["10.0.0.1"]);
    port.frontends.push(Frontend::node_port(Family::V4, 30080, Protocol::Tcp));
    ServicePort { session_affinity: timeout, ..port }
}

/// Time-out and generation of each frontend.
fn affinity(plan: &Plan) -> Vec<(u32, u32)> {
    plan.image().services.values().map(|it| (it.affinity_timeout, it.affinity_generation)).collect()
}

#[test]
fn all_frontends_of_a_port_share_a_generation_that_grows_each_time_affinity_is_switched_on() {
    let mut plan = planned(&[with_affinity(None)]);
    assert_eq!(affinity(&plan), [(0, 0), (0, 0)]);
    for (timeout, expected) in [(Some(10), (10, 1)), (Some(20), (20, 1)), (None, (0, 1)), (Some(20), (20, 2))] {
        update(&mut plan, &web(), &[with_affinity(timeout)]);
        assert_eq!(affinity(&plan), [expected, expected]);
    }
}

#[test]
fn the_generation_outlives_the_agent_also_while_affinity_is_off() {
    for (left, expected) in [(Some(10), (10, 1)), (None, (10, 2))] {
        let mut before = planned(&[with_affinity(Some(10))]);
        update(&mut before, &web(), &[with_affinity(left)]);
        let mut plan = Plan::adopt(before.image().clone(), Limits::default());
        update(&mut plan, &web(), &[with_affinity(Some(10))]);
        assert_eq!(affinity(&plan), [expected, expected]);
    }
}

fn prefixes(plan: &Plan) -> Vec<SourcePrefix> {
    plan.image().source_ranges.iter().copied().collect()
}

fn prefix(text: &str) -> SourcePrefix {
    SourcePrefix::new(1, text.parse().unwrap())
}

#[test]
fn a_prefix_counts_the_service_ports_number_and_what_stands_before_an_ipv4_address() {
    for (text, addr, bits) in [
        ("192.0.2.0/24", "192.0.2.0", 32 + 96 + 24),
        ("192.0.2.9/32", "192.0.2.9", 160),
        ("fd00::/64", "fd00::", 32 + 64),
    ] {
        let prefix = prefix(text);
        assert_eq!((prefix.range.service, prefix.range.addr, prefix.bits), (1, super::addr(addr), bits), "{text}");
    }
}

#[test]
fn new_ranges_precede_the_frontends_that_need_them_and_old_ones_go_after() {
    let mut plan = planned(&[web_port(&[])]);
    let place = |writes: &[Write], of: fn(&Write) -> bool| writes.iter().position(of).unwrap();
    let is_frontend: fn(&Write) -> bool = |it| matches!(it, Write::PutService(..) | Write::DeleteService(_));
    let writes = update(&mut plan, &web(), &[restricted(web_port(&[]), &["192.0.2.0/24"])]);
    assert!(place(&writes, |it| matches!(it, Write::PutSourceRange(_))) < place(&writes, is_frontend), "{writes:?}");
    assert_eq!(
        update(&mut plan, &web(), &[restricted(web_port(&[]), &["198.51.100.0/24"])]),
        [Write::PutSourceRange(prefix("198.51.100.0/24")), Write::DeleteSourceRange(prefix("192.0.2.0/24"))]
    );
    let writes = update(&mut plan, &web(), &[web_port(&[])]);
    assert!(place(&writes, |it| matches!(it, Write::DeleteSourceRange(_))) > place(&writes, is_frontend), "{writes:?}");
    assert_eq!(prefixes(&plan), []);
}

#[test]
fn ranges_without_a_frontend_that_they_hold_for_are_not_written() {
    let port = ServicePort { frontends: web_port(&[]).frontends, ..restricted(web_port(&[]), &["192.0.2.0/24"]) };
    assert_eq!(prefixes(&planned(&[port])), []);
}

#[test]
fn a_restart_keeps_source_ranges_and_clears_those_of_nobody() {
    let port = restricted(web_port(&[]), &["192.0.2.0/24"]);
    let mut image = planned(std::slice::from_ref(&port)).image().clone();
    image.source_ranges.insert(SourcePrefix::new(9, "192.0.2.0/24".parse().unwrap()));
    let mut plan = Plan::adopt(image, Limits::default());
    assert_eq!(update(&mut plan, &web(), &[port]), []);
    plan.finish_first_sync(|_| false);
    assert_eq!(prefixes(&plan), [prefix("192.0.2.0/24")]);
}

#[test]
fn an_endpoint_leaves_a_set_for_bound_clients_after_the_frontends_are_without_it() {
    let mut plan = planned(&[web_port(&["10.0.0.1", "10.0.0.2"])]);
    let mut port = web_port(&["10.0.0.1", "10.0.0.2"]);
    port.endpoints[0].ready = false;
    let writes = update(&mut plan, &web(), &[port]);
    let unbound = Write::PutMember(member("10.0.0.1"), Member::default());
    let place = |of: &dyn Fn(&Write) -> bool| writes.iter().position(of).unwrap();
    assert!(place(&|it| *it == unbound) > place(&|it| matches!(it, Write::PutService(..))), "{writes:?}");
}

#[test]
fn an_endpoint_whose_slot_another_takes_leaves_the_set_after_that() {
    let mut plan = planned(&[web_port(&["10.0.0.1", "10.0.0.2"])]);
    let mut port = web_port(&["10.0.0.1", "10.0.0.2", "10.0.0.3"]);
    port.endpoints[0].ready = false;
    assert_eq!(
        update(&mut plan, &web(), &[port]),
        [
            put_member("10.0.0.3"),
            Write::PutBackend(slot(0), backend("10.0.0.3")),
            Write::PutMember(member("10.0.0.1"), Member::default()),
        ]
    );
}
