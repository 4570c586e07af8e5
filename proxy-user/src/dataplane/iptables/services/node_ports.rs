//! On which addresses node ports are served.

use std::collections::BTreeMap;

use proxy_common::addr::{Addr, Family};
use proxy_common::tables::{Address, address_flags};

use super::change::Wanted;
use super::fixed::{EXTERNAL_SERVICES, NODE_PORTS, SERVICES};
use super::text::{comment, host};
use crate::dataplane::iptables::restore::Table;

/// All loopback addresses, of which one stands in the tables.
const LOOPBACK: &str = "127.0.0.0/8";
const NOTE: &str = "kubernetes service nodeports; NOTE: this must be the last rule in this chain";

/// Adds what leads to node ports, after all frontends that have addresses of their own. `addresses` are the node's.
pub(super) fn add(wanted: &mut Wanted, family: Family, addresses: &BTreeMap<Addr, Address>) {
    for rule in matches(family, addresses) {
        for (table, chain) in [(Table::Nat, SERVICES), (Table::Filter, EXTERNAL_SERVICES)] {
            wanted.last(table, chain, &format!("{rule} -j {NODE_PORTS}"));
        }
    }
}

/// Whether they are served on loopback. Not on IPv6's: no setting has the kernel route packets from it (rule 2.18).
pub(super) fn on_loopback(family: Family, addresses: &BTreeMap<Addr, Address>) -> bool {
    let loopback = addresses.get(&family.loopback());
    family == Family::V4 && loopback.is_some_and(|it| it.is(address_flags::NODE_PORT))
}

/// Where all addresses of the node serve, one that it gets later does at once (rule 2.14).
fn matches(family: Family, addresses: &BTreeMap<Addr, Address>) -> Vec<String> {
    let own: Vec<_> = addresses.iter().filter(|(addr, _)| addr.family() == family && !addr.is_loopback()).collect();
    let (all, on_loopback) =
        (own.iter().all(|(_, it)| it.is(address_flags::NODE_PORT)), on_loopback(family, addresses));
    let note = comment(NOTE);
    if all && !own.is_empty() {
        let but = match family {
            _ if on_loopback => String::new(),
            Family::V4 => format!("! -d {LOOPBACK} "),
            Family::V6 => format!("! -d {} ", host(family.loopback())),
        };
        return vec![format!("{but}{note} -m addrtype --dst-type LOCAL")];
    }
    let serving = own.iter().filter(|(_, it)| it.is(address_flags::NODE_PORT)).map(|(addr, _)| host(**addr));
    let loopback = on_loopback.then(|| LOOPBACK.to_owned());
    serving.chain(loopback).map(|network| format!("-d {network} {note}")).collect()
}
