//! `ADDRESSES`: what is looked up at all.

use super::*;

#[test]
fn an_address_is_looked_up_while_it_is_a_frontends_or_the_nodes() {
    const NODE: u32 = address_flags::NODE | address_flags::NODE_PORT;
    const CLUSTER_IP: u32 = address_flags::FRONTEND | address_flags::CLUSTER_IP;
    let flags = |plan: &Plan, text| plan.image().addresses.get(&addr(text)).map(|address| address.flags);
    let mut port = web_port(&[]);
    port.frontends.extend([
        external("192.0.2.11", 80),
        external("203.0.113.1", 80),
        Frontend::node_port(Family::V4, 30080, Protocol::Tcp),
    ]);
    let mut plan = planned(&[port]);
    plan.set_node_addresses(BTreeMap::from([(addr("192.0.2.11"), Address { flags: NODE })]));
    assert_eq!(flags(&plan, "10.96.0.1"), Some(CLUSTER_IP));
    assert_eq!(flags(&plan, "203.0.113.1"), Some(address_flags::FRONTEND));
    assert_eq!(flags(&plan, "192.0.2.11"), Some(NODE | address_flags::FRONTEND));
    assert_eq!(plan.image().addresses.len(), 3, "a node port has no address of its own");

    plan.set_node_addresses(BTreeMap::new());
    assert_eq!(flags(&plan, "192.0.2.11"), Some(address_flags::FRONTEND));
    let second = service_port("second", "", "203.0.113.1", vec![]);
    update(&mut plan, &second.name.service, std::slice::from_ref(&second));
    update(&mut plan, &web(), &[]);
    assert_eq!(flags(&plan, "203.0.113.1"), Some(CLUSTER_IP), "what another Service still has stays");
    assert_eq!(plan.image().addresses.len(), 1);
}

#[test]
fn a_starting_agent_keeps_the_nodes_addresses_until_it_knows_better() {
    let mut before = planned(&[web_port(&[])]);
    let node = |text| BTreeMap::from([(addr(text), Address { flags: address_flags::NODE })]);
    before.set_node_addresses(node("192.0.2.11"));
    let mut plan = Plan::adopt(before.image().clone(), Limits::default());
    assert_eq!(update(&mut plan, &web(), &[web_port(&[])]), []);
    assert_eq!(plan.node_addresses(), &node("192.0.2.11"));
    plan.set_node_addresses(node("192.0.2.12"));
    plan.finish_first_sync(|_| false);
    assert_eq!(plan.image().addresses.keys().collect::<Vec<_>>(), [&addr("10.96.0.1"), &addr("192.0.2.12")]);
}

#[test]
fn an_address_is_a_cluster_ip_only_once_all_of_its_ports_are_there() {
    let (a, mut b) = (service_port("web", "a", "10.96.0.1", vec![]), service_port("web", "b", "10.96.0.1", vec![]));
    b.frontends[0].port = 81;
    let writes = update(&mut empty(), &web(), &[a, b]);
    let place = |of: fn(&Write) -> bool| writes.iter().rposition(of).unwrap();
    let (frontend, address) =
        (place(|it| matches!(it, Write::PutService(..))), place(|it| matches!(it, Write::PutAddress(..))));
    assert!(frontend < address, "{writes:?}");
}

#[test]
fn an_address_that_a_killed_agent_did_not_come_to_is_written_by_the_next() {
    let mut image = Image::default();
    for write in update(&mut empty(), &web(), &[web_port(&[])]) {
        if !matches!(write, Write::PutAddress(..)) {
            image.apply(&write);
        }
    }
    let mut plan = Plan::adopt(image, Limits::default());
    let flags = address_flags::FRONTEND | address_flags::CLUSTER_IP;
    assert_eq!(update(&mut plan, &web(), &[web_port(&[])]), [Write::PutAddress(addr("10.96.0.1"), Address { flags })]);
}
