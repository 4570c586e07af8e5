//! How packets to a frontend come to the chains of its Service port.

use proxy_common::tables::service_flags;

use super::change::Wanted;
use super::fixed::{MARK_MASQUERADE, NODE_PORTS, SERVICES};
use super::port::{Frontend, Port};
use super::text::{comment, to_frontend, to_port};
use crate::dataplane::iptables::Node;
use crate::dataplane::iptables::restore::Table::Nat;

/// Adds a rule for each frontend that some endpoint serves.
pub(super) fn add(wanted: &mut Wanted, port: &Port, node: &Node) {
    for frontend in &port.frontends {
        add_frontend(wanted, port, frontend);
    }
    let Some(external) = port.external() else { return };
    if port.cluster.is_empty() {
        return;
    }
    add_external(wanted, port, external.is_local_only(), node);
    if port.frontends.iter().any(|it| it.is(service_flags::SOURCE_RANGES)) {
        add_firewall(wanted, port);
    }
}

/// What people are told a frontend is.
pub(super) fn kind(frontend: &Frontend) -> &'static str {
    if !frontend.is_external() {
        " cluster IP"
    } else if frontend.is(service_flags::NODE_PORT) {
        ""
    } else if frontend.is(service_flags::LOAD_BALANCER) {
        " loadbalancer IP"
    } else {
        " external IP"
    }
}

fn add_frontend(wanted: &mut Wanted, port: &Port, frontend: &Frontend) {
    // From inside, every endpoint serves an external frontend, whatever its policy.
    if port.endpoints(frontend.is_local_only() && !frontend.is_external()).is_empty() {
        return;
    }
    let names = &port.names;
    let note = format!("{}{}", names.label, kind(frontend));
    let chain = if !frontend.is_external() {
        port.set(frontend.is_local_only())
    } else if frontend.is(service_flags::SOURCE_RANGES) {
        names.firewall()
    } else {
        names.external()
    };
    if frontend.is(service_flags::NODE_PORT) {
        wanted.entry(Nat, NODE_PORTS, &format!("{} -j {chain}", to_port(&frontend.key, port.protocol, &note)));
    } else {
        wanted.entry(Nat, SERVICES, &format!("{} -j {chain}", to_frontend(&frontend.key, port.protocol, &note)));
    }
}

/// Rules 3.17 and 3.18: under Cluster, who may be answered past this node gets its address; under Local, only pods of this
/// node and the node itself reach the endpoints of others.
fn add_external(wanted: &mut Wanted, port: &Port, local_only: bool, node: &Node) {
    let (chain, cluster, label) = (port.names.external(), port.names.cluster(), &port.names.label);
    let because = |what: &str| comment(&format!("{what} for {label} external destinations"));
    wanted.chain(Nat, &chain);
    if !local_only {
        wanted.rule(Nat, &chain, &format!("{} -j {MARK_MASQUERADE}", because("masquerade traffic")));
        wanted.rule(Nat, &chain, &format!("-j {cluster}"));
        return;
    }
    for pods in node.pods(port.family) {
        wanted.rule(Nat, &chain, &format!("-s {pods} {} -j {cluster}", because("pod traffic")));
    }
    let of_node = "-m addrtype --src-type LOCAL";
    wanted.rule(Nat, &chain, &format!("{} {of_node} -j {MARK_MASQUERADE}", because("masquerade LOCAL traffic")));
    wanted.rule(Nat, &chain, &format!("{} {of_node} -j {cluster}", because("route LOCAL traffic")));
    if !port.local.is_empty() {
        wanted.rule(Nat, &chain, &format!("-j {}", port.names.local()));
    }
}

/// Those who may, go on. Whoever is left is dropped by the chain of the same name in the filter table.
fn add_firewall(wanted: &mut Wanted, port: &Port) {
    let chain = port.names.firewall();
    wanted.chain(Nat, &chain);
    for rule in allowed(port) {
        wanted.rule(Nat, &chain, &format!("{rule} -j {}", port.names.external()));
    }
}

/// Matches the sources that may use the frontends that not everybody may.
pub(super) fn allowed(port: &Port) -> impl Iterator<Item = String> {
    let note = comment(&format!("{} source range", port.names.label));
    port.source_ranges.iter().map(move |range| match range {
        Some(range) => format!("-s {range} {note}"),
        None => note.clone(),
    })
}
