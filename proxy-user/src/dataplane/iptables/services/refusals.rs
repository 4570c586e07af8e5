//! Packets that no endpoint may get: rules of the filter table, which see them as they came, for nothing translated them.

use proxy_common::tables::service_flags;

use super::change::Wanted;
use super::fixed::{EXTERNAL_SERVICES, NODE_PORTS, PROXY_FIREWALL, SERVICES};
use super::frontends::allowed;
use super::port::{Frontend, Port};
use super::text::{comment, reject, to_frontend, to_port};
use crate::dataplane::iptables::restore::Table::Filter;

/// Adds what refuses packets to the frontends.
pub(super) fn add(wanted: &mut Wanted, port: &Port) {
    for frontend in &port.frontends {
        if let Some((why, target)) = refusal(port, frontend) {
            let note = format!("{} has no {why}endpoints", port.names.label);
            let (chain, to) = place(port, frontend, &note);
            wanted.entry(Filter, chain, &format!("{to} -j {target}"));
        }
    }
    let restricted: Vec<_> = port.frontends.iter().filter(|it| it.is(service_flags::SOURCE_RANGES)).collect();
    if restricted.is_empty() {
        return;
    }
    let chain = port.names.firewall();
    wanted.chain(Filter, &chain);
    for rule in allowed(port) {
        wanted.rule(Filter, &chain, &format!("{rule} -j RETURN"));
    }
    let label = &port.names.label;
    wanted.rule(Filter, &chain, &format!("{} -j DROP", comment(&format!("{label} other sources"))));
    for frontend in restricted {
        let to = to_frontend(&frontend.key, port.protocol, &format!("{label} has source ranges"));
        wanted.entry(Filter, PROXY_FIREWALL, &format!("{to} -j {chain}"));
    }
}

/// Rules 4.1, 4.3 and 4.4: refused where there is no endpoint at all, dropped where there is none on this node. Whom the
/// nat table sent elsewhere doesn't come here.
fn refusal(port: &Port, frontend: &Frontend) -> Option<(&'static str, &'static str)> {
    if port.cluster.is_empty() {
        Some(("", reject(port.family, port.protocol)))
    } else if port.endpoints(frontend.is_local_only()).is_empty() {
        Some(("local ", "DROP"))
    } else {
        None
    }
}

/// The chain of a frontend's kind, and the match.
fn place(port: &Port, frontend: &Frontend, note: &str) -> (&'static str, String) {
    if frontend.is(service_flags::NODE_PORT) {
        (NODE_PORTS, to_port(&frontend.key, port.protocol, note))
    } else {
        let chain = if frontend.is_external() { EXTERNAL_SERVICES } else { SERVICES };
        (chain, to_frontend(&frontend.key, port.protocol, note))
    }
}
