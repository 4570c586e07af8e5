//! The chains that choose an endpoint, and those that lead to one.

use std::net::SocketAddr;

use super::change::Wanted;
use super::fixed::MARK_MASQUERADE;
use super::port::Port;
use super::text::{comment, host, protocol_name, to_frontend, whole_address};
use crate::dataplane::iptables::Node;
use crate::dataplane::iptables::restore::Table::Nat;

/// What `statistic` counts probabilities in: parts of 2^31.
const CERTAIN: u32 = 1 << 31;

/// Adds the chains of those sets that a frontend leads to.
pub(super) fn add(wanted: &mut Wanted, port: &Port, node: &Node) {
    let mut used = Vec::new();
    for local_only in [false, true] {
        // Under a Local policy too, the node and its pods reach every endpoint from inside.
        let leads = |it: &super::port::Frontend| it.is_local_only() == local_only || (it.is_external() && !local_only);
        let endpoints = port.endpoints(local_only);
        if endpoints.is_empty() || !port.frontends.iter().any(leads) {
            continue;
        }
        let chain = port.set(local_only);
        wanted.chain(Nat, &chain);
        add_masquerade(wanted, port, node, &chain, local_only);
        choose(wanted, port, &chain, endpoints);
        used.extend(endpoints);
    }
    used.sort_unstable();
    used.dedup();
    for endpoint in used {
        lead_to(wanted, port, endpoint);
    }
}

/// Who isn't a pod of this node, and so may be answered past it, gets the node's address at a ClusterIP (rule 6.3).
fn add_masquerade(wanted: &mut Wanted, port: &Port, node: &Node, chain: &str, local_only: bool) {
    let Some(pods) = node.pods(port.family).next() else { return };
    let cluster_ips = port.frontends.iter().filter(|it| !it.is_external() && it.is_local_only() == local_only);
    for frontend in cluster_ips {
        let to = to_frontend(&frontend.key, port.protocol, &format!("{} cluster IP", port.names.label));
        wanted.rule(Nat, chain, &format!("! -s {pods} {to} -j {MARK_MASQUERADE}"));
    }
}

/// Each endpoint as likely as the other, after that which a client is bound to.
fn choose(wanted: &mut Wanted, port: &Port, chain: &str, endpoints: &[SocketAddr]) {
    let note = |endpoint: &SocketAddr| comment(&format!("{} -> {endpoint}", port.names.label));
    if port.affinity_timeout != 0 {
        let (seconds, mask) = (port.affinity_timeout, whole_address(port.family));
        for endpoint in endpoints {
            let (note, to) = (note(endpoint), port.names.endpoint(*endpoint));
            let bound = format!("-m recent --rcheck --seconds {seconds} --reap --name {to} --mask {mask} --rsource");
            wanted.rule(Nat, chain, &format!("{note} {bound} -j {to}"));
        }
    }
    let mut left = u32::try_from(endpoints.len()).unwrap_or(u32::MAX);
    for endpoint in endpoints {
        let (note, to) = (note(endpoint), port.names.endpoint(*endpoint));
        let odds = if left > 1 {
            format!(" -m statistic --mode random --probability {}", one_in(left))
        } else {
            String::new()
        };
        wanted.rule(Nat, chain, &format!("{note}{odds} -j {to}"));
        left -= 1;
    }
}

/// One in `count`, as the kernel has it and the tools print it.
fn one_in(count: u32) -> String {
    let parts = (f64::from(CERTAIN) / f64::from(count)).round();
    format!("{:.11}", parts / f64::from(CERTAIN))
}

/// The chain of one endpoint. A pod that reaches itself gets the node's address, or it would answer itself (rule 6.2).
fn lead_to(wanted: &mut Wanted, port: &Port, endpoint: SocketAddr) {
    let Port { names, .. } = port;
    let protocol = protocol_name(port.protocol);
    let (chain, note) = (names.endpoint(endpoint), comment(&names.label));
    wanted.chain(Nat, &chain);
    wanted.rule(Nat, &chain, &format!("-s {} {note} -j {MARK_MASQUERADE}", host(endpoint.ip().into())));
    let bind = if port.affinity_timeout == 0 {
        String::new()
    } else {
        format!(" -m recent --set --name {chain} --mask {} --rsource", whole_address(port.family))
    };
    wanted.rule(Nat, &chain, &format!("-p {protocol} {note}{bind} -m {protocol} -j DNAT --to-destination {endpoint}"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odds_are_as_the_tools_print_them() {
        let odds = [2, 3, 5, 13, 21].map(one_in);
        assert_eq!(odds, ["0.50000000000", "0.33333333349", "0.20000000019", "0.07692307699", "0.04761904757"]);
    }
}
