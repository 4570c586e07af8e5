//! The chains that every node has, whatever its Services are, and how packets come to them.

use super::change::Wanted;
use super::text::comment;
use crate::dataplane::iptables::restore::Table::{self, Filter, Nat};

/// A rule for each frontend but node ports: with an endpoint in nat; cluster IPs without one in filter.
pub(super) const SERVICES: &str = "SLUICE-SERVICES";
/// A rule for each node port: those that have an endpoint in nat, the others in filter.
pub(super) const NODE_PORTS: &str = "SLUICE-NODEPORTS";
/// A rule for each external address that has no endpoint.
pub(super) const EXTERNAL_SERVICES: &str = "SLUICE-EXTERNAL-SERVICES";
/// A rule for each frontend that not everybody may use.
pub(super) const PROXY_FIREWALL: &str = "SLUICE-PROXY-FIREWALL";
/// Marks what is to leave with the node's address.
pub(super) const MARK_MASQUERADE: &str = "SLUICE-MARK-MASQ";
const POSTROUTING: &str = "SLUICE-POSTROUTING";
const FORWARD: &str = "SLUICE-FORWARD";
const FIREWALL: &str = "SLUICE-FIREWALL";

/// Our bit of packets' marks, between hook and hook: the one that nobody else is known to use. (The kubelet and kube-proxy
/// have 0x4000 and 0x8000, the portmap plugin 0x2000, Cilium 0xf00, Calico the upper half, AWS 0x80, kube-router 0x100000.)
const MARK: &str = "0x1000/0x1000";
const NO_MARK: &str = "0x1000/0x0";

/// Chains to which rules of single frontends are added.
pub(super) const DISPATCHERS: [(Table, &str); 6] = [
    (Nat, SERVICES),
    (Nat, NODE_PORTS),
    (Filter, SERVICES),
    (Filter, EXTERNAL_SERVICES),
    (Filter, NODE_PORTS),
    (Filter, PROXY_FIREWALL),
];

/// The jumps to our chains: of each chain of netfilter's, in their order. An established flow's packets skip what only the
/// first packet of a flow can meet.
const JUMPS: [(Table, &str, &str, &str); 14] = [
    (Nat, "PREROUTING", PORTALS, SERVICES),
    (Nat, "OUTPUT", PORTALS, SERVICES),
    (Nat, "POSTROUTING", "-m comment --comment \"kubernetes postrouting rules\"", POSTROUTING),
    (Filter, "INPUT", SOURCES, PROXY_FIREWALL),
    (Filter, "INPUT", EXTERNAL_PORTALS, EXTERNAL_SERVICES),
    (Filter, "INPUT", LOOPBACK, FIREWALL),
    (Filter, "FORWARD", SOURCES, PROXY_FIREWALL),
    (Filter, "FORWARD", "-m comment --comment \"kubernetes forwarding rules\"", FORWARD),
    (Filter, "FORWARD", NEW_PORTALS, SERVICES),
    (Filter, "FORWARD", EXTERNAL_PORTALS, EXTERNAL_SERVICES),
    (Filter, "OUTPUT", SOURCES, PROXY_FIREWALL),
    (Filter, "OUTPUT", NEW_PORTALS, SERVICES),
    (Filter, "OUTPUT", EXTERNAL_PORTALS, EXTERNAL_SERVICES),
    (Filter, "OUTPUT", LOOPBACK, FIREWALL),
];
const PORTALS: &str = "-m comment --comment \"kubernetes service portals\"";
const NEW_PORTALS: &str = "-m conntrack --ctstate NEW -m comment --comment \"kubernetes service portals\"";
const EXTERNAL_PORTALS: &str =
    "-m conntrack --ctstate NEW -m comment --comment \"kubernetes externally-visible service portals\"";
const SOURCES: &str = "-m conntrack --ctstate NEW -m comment --comment \"kubernetes load balancer firewall\"";
const LOOPBACK: &str = "-m comment --comment \"kubernetes node ports on loopback\"";

/// Adds the chains that are the same for all nodes, but for what the kernel's settings ask for.
pub(super) fn add(wanted: &mut Wanted, liberal: bool) {
    wanted.rule(Nat, MARK_MASQUERADE, &format!("-j MARK --set-xmark {MARK}"));
    wanted.rule(Nat, POSTROUTING, &format!("-m mark ! --mark {MARK} -j RETURN"));
    // A packet that passes here once more, in a tunnel for one, is not masqueraded again.
    wanted.rule(Nat, POSTROUTING, &format!("-j MARK --set-xmark {NO_MARK}"));
    let note = comment("kubernetes service traffic requiring SNAT");
    wanted.rule(Nat, POSTROUTING, &format!("{note} -j MASQUERADE --random-fully"));
    if !liberal {
        // Or the client gets a late segment untranslated, and resets the connection (rule 7.17).
        wanted.rule(Filter, FORWARD, "-m conntrack --ctstate INVALID -j DROP");
    }
    let note = comment("kubernetes forwarding rules");
    wanted.rule(Filter, FORWARD, &format!("{note} -m mark --mark {MARK} -j ACCEPT"));
    let note = comment("kubernetes forwarding conntrack rule");
    wanted.rule(Filter, FORWARD, &format!("{note} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"));
}

/// Keeps others from what listens on loopback alone, where node ports are served on it: packets to it may then come in by any
/// interface.
pub(super) fn add_firewall(wanted: &mut Wanted, on_loopback: bool) {
    wanted.chain(Filter, FIREWALL);
    if !on_loopback {
        return;
    }
    let state = "-m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT";
    let note = comment("block incoming localnet connections");
    wanted.rule(Filter, FIREWALL, &format!("! -s 127.0.0.0/8 -d 127.0.0.0/8 {note} {state} -j DROP"));
}

/// Whether a chain is one of those here.
pub(super) fn is_ours(chain: &str) -> bool {
    let fixed = [MARK_MASQUERADE, POSTROUTING, FORWARD, FIREWALL];
    fixed.contains(&chain) || DISPATCHERS.iter().any(|(_, name)| *name == chain)
}

/// The jumps of one table, with the chain each is in, as they are printed.
pub(super) fn jumps(table: Table) -> impl Iterator<Item = (&'static str, String)> {
    let of_table = JUMPS.iter().filter(move |(of, ..)| *of == table);
    of_table.map(|(_, from, matches, to)| (*from, format!("-A {from} {matches} -j {to}")))
}
