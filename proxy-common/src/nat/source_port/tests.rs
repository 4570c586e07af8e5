//! Source ports of flows from one node to one backend, on plain tables.

extern crate std;

use core::net::Ipv4Addr;
use std::collections::BTreeSet;

use super::*;
use crate::addr::{Addr, protocol};
use crate::flow::State;
use crate::plain::PlainTables;

const NOW: u32 = 1_000;
/// Packets in which every port has its turn.
const WHOLE_SEARCH: u32 = PORTS.div_ceil(ATTEMPTS / 2);
/// Most that clients on Linux take by themselves (`ip_local_port_range`).
const EPHEMERAL: core::ops::RangeInclusive<u16> = 32_768..=60_999;

fn addr(a: u8, b: u8, c: u8, d: u8) -> Addr {
    core::net::IpAddr::from(Ipv4Addr::new(a, b, c, d)).into()
}

/// What client `number` sends to the node's port, from a port of its own.
fn from_client(number: u16, port: u16) -> FlowKey {
    let [high, low] = number.to_be_bytes();
    FlowKey {
        src: addr(198, 18, high, low),
        dst: addr(192, 0, 2, 11),
        src_port: Port::new(port),
        dst_port: Port::new(30_080),
        protocol: u32::from(protocol::TCP),
    }
}

/// Reserves a port of the node for a client's flow to the backend.
fn open(tables: &PlainTables, key: &FlowKey) -> Result<FlowRecord, Reason> {
    open_at(tables, key, NOW)
}

fn open_at(tables: &PlainTables, key: &FlowKey, now: u32) -> Result<FlowRecord, Reason> {
    let mut record = FlowRecord {
        src: addr(192, 0, 2, 11),
        dst: addr(10, 244, 2, 10),
        src_port: key.src_port,
        dst_port: Port::new(8080),
        last_seen: now,
        state: State::New as u32,
        ..FlowRecord::default()
    };
    reserve(tables, tables, key, &mut record, Sockets::Nodes)?;
    Ok(record)
}

/// Has the client go on after an answer.
fn establish(tables: &PlainTables, key: &FlowKey, record: &FlowRecord) {
    forget(tables, key, record);
    let record = FlowRecord { state: State::Established as u32, ..*record };
    tables.put_established(key, &record).unwrap();
    tables.put_established(&record.reply_key(key.protocol), &other_direction(key, &record)).unwrap();
}

fn open_established(tables: &PlainTables, key: &FlowKey) -> Result<FlowRecord, Reason> {
    let record = open(tables, key)?;
    establish(tables, key, &record);
    Ok(record)
}

/// Takes all ports: most for one client, the others for many that share one port. Returns the flows.
fn fill(tables: &PlainTables) -> std::vec::Vec<(FlowKey, FlowRecord)> {
    let own = EPHEMERAL.map(|port| from_client(0, port));
    let shared = (1..).map(|number| from_client(number, 40_000));
    let keys = own.chain(shared).take(PORTS as usize);
    keys.map(|key| (key, open_established(tables, &key).expect("a port is free"))).collect()
}

#[test]
fn every_port_comes_into_use_once_and_one_flow_more_is_refused() {
    let tables = PlainTables::default();
    let ports: BTreeSet<u16> = fill(&tables).iter().map(|(_, record)| record.src_port.number()).collect();
    assert_eq!(ports, (1_024..=u16::MAX).collect());
    for number in 0..u16::try_from(WHOLE_SEARCH).unwrap() {
        assert_eq!(open(&tables, &from_client(u16::MAX - number, 50_000)), Err(Reason::NoSourcePort));
    }
}

#[test]
fn a_port_that_became_free_is_found_by_one_search_of_all() {
    let tables = PlainTables::default();
    let flows = fill(&tables);
    for (key, record) in flows.iter().step_by(19_999) {
        forget(&tables, key, record);
        let client = from_client(u16::MAX, 50_000);
        let found = (0..WHOLE_SEARCH).find_map(|_| open(&tables, &client).ok());
        let found = found.expect("found within one search of all");
        assert_eq!(found.src_port, record.src_port);
        forget(&tables, &client, &found);
        establish(&tables, key, record);
    }
}

#[test]
fn a_client_finds_a_port_at_once_beside_one_that_has_the_same_ports() {
    let tables = PlainTables::default();
    for client in 0..2 {
        for port in EPHEMERAL {
            open_established(&tables, &from_client(client, port)).expect("at the first packet");
        }
    }
}

#[test]
fn a_search_leaves_a_range_that_is_taken_whole_wherever_it_begins() {
    let tables = PlainTables::default();
    for port in EPHEMERAL {
        open_established(&tables, &from_client(0, port)).expect("its own port");
    }
    for seed in 0..100 {
        tables.seed.set(seed * 42_949_672);
        tables.source_ports.borrow_mut().clear();
        open_established(&tables, &from_client(1 + seed as u16, 40_000)).expect("at the first packet");
    }
}

#[test]
fn a_flood_of_half_open_flows_keeps_no_client_out_and_ends_no_connection() {
    let tables = PlainTables::default();
    let lasting: std::vec::Vec<_> = (0..60_000)
        .map(|number| from_client(number, 50_000))
        .map(|key| (key, open_established(&tables, &key).unwrap()))
        .collect();
    for second in 0..3 {
        for number in 0..3_000 {
            let key = from_client(number, 40_000 + second);
            let record = open_at(&tables, &key, NOW + u32::from(second)).expect("another half-open flow gives way");
            // Who knows nothing of a connection that was forged in his name resets it.
            if number % 2 == 0 {
                tables.half_open(&record.reply_key(key.protocol)).unwrap().set_state(State::Reset);
            }
        }
    }
    assert!(tables.flows_new.borrow().len() < PORTS as usize + 2, "{}", tables.flows_new.borrow().len());
    for (key, record) in lasting {
        assert_eq!(tables.established(&record.reply_key(key.protocol)).unwrap().record().dst, key.src);
    }
}

#[test]
fn a_flow_under_way_to_be_established_keeps_its_port_while_others_are_free() {
    let tables = PlainTables::default();
    let first = open(&tables, &from_client(0, 40_000)).unwrap();
    for number in 1..20_000 {
        open(&tables, &from_client(number, 40_000)).unwrap();
    }
    let standing = tables.half_open(&first.reply_key(u32::from(protocol::TCP))).unwrap().record();
    assert_eq!(standing.dst, from_client(0, 40_000).src);
}

#[test]
fn a_port_below_1024_is_kept_but_never_given() {
    let tables = PlainTables::default();
    assert_eq!(open(&tables, &from_client(0, 53)).unwrap().src_port, Port::new(53));
    for number in 1..100 {
        let given = open(&tables, &from_client(number, 53)).unwrap().src_port.number();
        assert!(u32::from(given) >= FIRST_PORT, "{given}");
    }
}

#[test]
fn a_port_of_a_flow_that_is_over_is_taken_over_before_any_sweep() {
    let tables = PlainTables::default();
    let key = from_client(0, 40_000);
    let record = open(&tables, &key).unwrap();
    let reply_key = record.reply_key(key.protocol);
    let long_ago = FlowRecord { last_seen: NOW - 31, state: State::Closed as u32, ..record };
    forget(&tables, &key, &record);
    tables.put_established(&key, &long_ago).unwrap();
    tables.put_established(&reply_key, &other_direction(&key, &long_ago)).unwrap();

    let other = from_client(1, 40_000);
    assert_eq!(open(&tables, &other).unwrap().src_port, key.src_port);
    assert!(tables.established(&key).is_none(), "the old flow is gone whole");
}

#[test]
fn no_port_of_a_socket_of_the_node_is_given() {
    let mut tables = PlainTables::default();
    let free = 2_000_u16;
    let client = from_client(0, 40_000);
    let record = open(&tables, &client).unwrap();
    forget(&tables, &client, &record);
    for port in 0..=u16::MAX {
        let waiting = FlowRecord { src_port: Port::new(port), ..record }.reply_key(client.protocol);
        if port != free {
            tables.sockets.insert(waiting);
        }
    }
    let found = (0..WHOLE_SEARCH).find_map(|_| open(&tables, &client).ok()).expect("one port is free");
    assert_eq!(found.src_port, Port::new(free));
}
