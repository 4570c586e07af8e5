//! The network namespace of this process.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use super::Check;
use crate::config::DataplaneMode;
use crate::kube_proxy::{self, Leftovers};

pub(super) fn checks(mode: DataplaneMode) -> Vec<Check> {
    vec![
        forwarding("net.ipv4.ip_forward", "/proc/sys/net/ipv4/ip_forward", "sysctl -w net.ipv4.ip_forward=1"),
        forwarding(
            "net.ipv6 forwarding",
            "/proc/sys/net/ipv6/conf/all/forwarding",
            "sysctl -w net.ipv6.conf.all.forwarding=1",
        ),
        interfaces_forward("IPv4"),
        interfaces_forward("IPv6"),
        reverse_path_filter(),
        bridged_packets(mode),
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

/// The kernel routes no packet for us that came in by an interface which doesn't forward.
fn interfaces_forward(family: &'static str) -> Check {
    let (name, conf) = match family {
        "IPv4" => ("forwarding of interfaces (IPv4)", "/proc/sys/net/ipv4/conf"),
        _ => ("forwarding of interfaces (IPv6)", "/proc/sys/net/ipv6/conf"),
    };
    let off = with_value(Path::new(conf), "forwarding", "0");
    let all = off.iter().any(|interface| interface == "all");
    if all || off.is_empty() {
        return Check::ok(name, if all { "see above: it is off for all" } else { "off on none" });
    }
    let mend = "sysctl -w net.ipv4.conf.IF.forwarding=1 (or net.ipv6) where IF is an uplink or a pod's interface";
    Check::warn(name, format!("off on {}: what comes in there is not sent on to endpoints", off.join(", ")), mend)
}

/// Names of the interfaces, and `all` and `default`, whose setting has a value.
fn with_value(conf: &Path, setting: &str, value: &str) -> Vec<String> {
    let interfaces = fs::read_dir(conf).into_iter().flatten().flatten();
    let has_value = |name: &String| {
        let found = fs::read_to_string(conf.join(name).join(setting));
        found.is_ok_and(|found| found.trim() == value)
    };
    let mut names: Vec<_> =
        interfaces.filter_map(|entry| entry.file_name().into_string().ok()).filter(has_value).collect();
    names.sort_unstable();
    names
}

/// Between two pods of a bridge the stack sees what a client sends to a Service, which is routed, and not what answers it,
/// unless it is shown bridged packets too. To a firewall that drops what its connection tracking takes for invalid, the
/// half is that. Rules see neither what answers, nor what such pods send each other past Services.
fn bridged_packets(mode: DataplaneMode) -> Check {
    const NAME: &str = "bridge-nf-call-iptables";
    let shown = fs::read_to_string("/proc/sys/net/bridge/bridge-nf-call-iptables");
    if shown.is_ok_and(|shown| shown.trim() != "0") {
        return Check::ok(NAME, "on: needed by firewalls that track connections, and by Sluice in iptables mode");
    }
    if mode == DataplaneMode::Iptables {
        let mend = "with pods on a bridge: modprobe br_netfilter; sysctl -w net.bridge.bridge-nf-call-iptables=1 (and -ip6tables)";
        return Check::warn(NAME, "off: rules don't see what pods of one bridge send each other", mend);
    }
    let rules = Command::new("iptables-save").stderr(Stdio::null()).stdin(Stdio::null()).output();
    if !rules.is_ok_and(|rules| drops_invalid(&rules.stdout)) {
        return Check::ok(NAME, "off: not needed");
    }
    let mend = "with pods on a bridge: modprobe br_netfilter; sysctl -w net.bridge.bridge-nf-call-iptables=1, or take away the \
                rule";
    Check::warn(NAME, "off, and a rule of iptables drops packets of state INVALID", mend)
}

/// A rule drops what connection tracking calls invalid.
fn drops_invalid(rules: &[u8]) -> bool {
    let rules = String::from_utf8_lossy(rules);
    let states = |rule: &str| rule.split(' ').any(|word| word.split(',').any(|state| state == "INVALID"));
    rules.lines().any(|rule| rule.starts_with("-A ") && states(rule) && rule.ends_with("-j DROP"))
}

/// Strict filtering drops a packet whose answer would leave by another interface, as after translation it may.
fn reverse_path_filter() -> Check {
    let strict = with_value(Path::new("/proc/sys/net/ipv4/conf"), "rp_filter", "1");
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_that_drops_what_is_invalid_is_seen() {
        assert!(drops_invalid(b"-A KUBE-FORWARD -m conntrack --ctstate INVALID -j DROP\n"));
        assert!(drops_invalid(b"-A FORWARD -m state --state INVALID,UNTRACKED -j DROP\n"));
        assert!(!drops_invalid(b"-A FORWARD -m conntrack --ctstate INVALID -j ACCEPT\n-A X -j DROP\n"));
    }

    #[test]
    fn interfaces_are_named_by_the_value_of_their_setting() {
        let conf = tempfile::tempdir().unwrap();
        for (name, value) in [("all", "1\n"), ("eth1", "0\n"), ("eth0", "0\n")] {
            fs::create_dir(conf.path().join(name)).unwrap();
            fs::write(conf.path().join(name).join("forwarding"), value).unwrap();
        }
        assert_eq!(with_value(conf.path(), "forwarding", "0"), ["eth0", "eth1"]);
    }
}
