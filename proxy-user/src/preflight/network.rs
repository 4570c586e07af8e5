//! The network namespace of this process.

use std::fs;
use std::process::{Command, Stdio};

use super::Check;

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

/// Chains of a kube-proxy that ran here: its rules see packets before the socket's choice is known to them.
fn kube_proxy() -> Check {
    const NAME: &str = "kube-proxy rules";
    let rules = |program| Command::new(program).stderr(Stdio::null()).stdin(Stdio::null()).output();
    let saved = ["iptables-save", "ip6tables-save"].map(|program| rules(program).map(|output| output.stdout));
    let with_chains: Vec<_> = ["IPv4", "IPv6"]
        .into_iter()
        .zip(&saved)
        .filter(|(_, rules)| rules.as_ref().is_ok_and(|rules| has_chain(rules)))
        .map(|(family, _)| family)
        .collect();
    if !with_chains.is_empty() {
        let found = format!("chains KUBE-SERVICES in iptables ({})", with_chains.join(", "));
        return Check::warn(NAME, found, "stop kube-proxy and run `kube-proxy --cleanup`");
    }
    let looked = saved.iter().any(Result::is_ok);
    Check::ok(NAME, if looked { "none in iptables" } else { "not looked for: there is no iptables-save here" })
}

fn has_chain(rules: &[u8]) -> bool {
    rules.split(|byte| *byte == b'\n').any(|line| line.starts_with(b":KUBE-SERVICES "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_of_kube_proxy_is_seen_and_one_of_the_kubelet_is_not() {
        assert!(has_chain(b"*nat\n:PREROUTING ACCEPT [0:0]\n:KUBE-SERVICES - [0:0]\nCOMMIT\n"));
        assert!(!has_chain(b"*nat\n:KUBE-KUBELET-CANARY - [0:0]\n-A X -m comment --comment \":KUBE-SERVICES \"\n"));
    }
}
