//! The network namespace of this process.

use std::fs;

use super::Check;
use crate::kube_proxy::{self, Leftovers};

pub(super) fn checks() -> Vec<Check> {
    vec![
        forwarding("net.ipv4.ip_forward", "/proc/sys/net/ipv4/ip_forward", "sysctl -w net.ipv4.ip_forward=1"),
        forwarding(
            "net.ipv6 forwarding",
            "/proc/sys/net/ipv6/conf/all/forwarding",
            "sysctl -w net.ipv6.conf.all.forwarding=1",
        ),
        reverse_path_filter(),
        kube_proxy(),
    ]
}

fn forwarding(name: &'static str, path: &str, mend: &'static str) -> Check {
    match fs::read_to_string(path) {
        Ok(value) if value.trim() != "0" => Check::ok(name, "on"),
        Ok(_) => Check::warn(name, "off: packets to pods and to other nodes are not forwarded", mend),
        Err(_) => Check::ok(name, "this kernel has no such family"),
    }
}

/// Strict filtering drops a packet whose answer would leave by another interface, as after translation it may.
fn reverse_path_filter() -> Check {
    let interfaces = fs::read_dir("/proc/sys/net/ipv4/conf").into_iter().flatten().flatten();
    let is_strict = |name: &String| {
        let value = fs::read_to_string(format!("/proc/sys/net/ipv4/conf/{name}/rp_filter"));
        value.is_ok_and(|value| value.trim() == "1")
    };
    let strict: Vec<_> =
        interfaces.filter_map(|entry| entry.file_name().into_string().ok()).filter(is_strict).collect();
    if strict.is_empty() {
        return Check::ok("rp_filter", "strict on no interface");
    }
    let mend = "the agent makes it loose (2) on the interfaces it works on; or: sysctl -w net.ipv4.conf.IF.rp_filter=2";
    Check::warn("rp_filter", format!("strict on {}", strict.join(", ")), mend)
}

/// A kube-proxy that runs, or ran: its rules see packets that a program leaves to the stack.
fn kube_proxy() -> Check {
    const NAME: &str = "kube-proxy rules";
    const MEND: &str =
        "stop kube-proxy (kubectl -n kube-system delete daemonset kube-proxy), then: sluice cleanup --kube-proxy";
    let leftovers = Leftovers::find();
    let running = kube_proxy::running().map(|how| format!("a kube-proxy runs ({how})"));
    let found: Vec<_> = running.into_iter().chain(leftovers.names()).collect();
    match (found.is_empty(), leftovers.asked_iptables()) {
        (false, _) => Check::warn(NAME, found.join(", "), MEND),
        (true, true) => Check::ok(NAME, "none in iptables, nftables and IPVS"),
        (true, false) => {
            Check::ok(NAME, "none in nftables and IPVS; not looked for in iptables: there is no iptables-save here")
        }
    }
}
