//! The rules of a kube-proxy in iptables mode, as version 1.36 writes them: what a node has where another proxy served
//! before. Not here: session affinity, source ranges, Local policies.

use std::fmt::Write as _;
use std::io::Write as _;
use std::net::SocketAddr;
use std::process::Stdio;

use crate::error::{Doing, Error, Result};
use crate::family::Family;
use crate::host::Host;
use crate::netns;

/// What the kubelet and others have, whether a kube-proxy runs or not.
const NAT_OF_OTHERS: &str = "\
:KUBE-KUBELET-CANARY - [0:0]
:CNI-HOSTPORT-DNAT - [0:0]
-A PREROUTING -m addrtype --dst-type LOCAL -j CNI-HOSTPORT-DNAT
-A CNI-HOSTPORT-DNAT -p tcp -m comment --comment \"dnat of KUBE-SERVICES' neighbour\" -m tcp --dport 8888 -j RETURN
";
const FILTER_OF_OTHERS: &str = "\
:KUBE-FIREWALL - [0:0]
:KUBE-KUBELET-CANARY - [0:0]
-A INPUT -j KUBE-FIREWALL
-A INPUT -p tcp -m comment --comment \"not kube-proxy's\" -m tcp --dport 9999 -j ACCEPT
-A OUTPUT -j KUBE-FIREWALL
";

/// A Service as rules have it, in one family.
#[derive(Clone, Debug)]
pub struct ServiceRules {
    /// Namespace, name and port.
    pub name: &'static str,
    /// Cluster address and port.
    pub cluster_ip: SocketAddr,
    /// Node port.
    pub node_port: u16,
    /// Where it goes; each as often as another.
    pub endpoints: Vec<SocketAddr>,
}

/// What others have, for `iptables-restore` of a family.
#[must_use]
pub fn rules_of_others() -> String {
    format!(
        "*nat\n{NAT_OF_OTHERS}COMMIT\n*filter\n{FILTER_OF_OTHERS}COMMIT\n*mangle\n:KUBE-IPTABLES-HINT - \
         [0:0]\n:KUBE-KUBELET-CANARY - [0:0]\nCOMMIT\n"
    )
}

/// What a kube-proxy adds to it; pods have addresses of `cluster_cidr`.
#[must_use]
pub fn rules(cluster_cidr: &str, services: &[ServiceRules]) -> String {
    let mut nat = NAT.to_owned();
    for service in services {
        // Writing to a String can't fail.
        let _ = add(&mut nat, cluster_cidr, service);
    }
    let last = "-A KUBE-SERVICES -m comment --comment \"kubernetes service nodeports; NOTE: this must be the last rule in \
                this chain\" -m addrtype --dst-type LOCAL -j KUBE-NODEPORTS\n";
    format!("*nat\n{nat}{last}COMMIT\n{FILTER}*mangle\n:KUBE-PROXY-CANARY - [0:0]\nCOMMIT\n")
}

const NAT: &str = "\
:KUBE-MARK-MASQ - [0:0]
:KUBE-NODEPORTS - [0:0]
:KUBE-POSTROUTING - [0:0]
:KUBE-PROXY-CANARY - [0:0]
:KUBE-SERVICES - [0:0]
-A PREROUTING -m comment --comment \"kubernetes service portals\" -j KUBE-SERVICES
-A OUTPUT -m comment --comment \"kubernetes service portals\" -j KUBE-SERVICES
-A POSTROUTING -m comment --comment \"kubernetes postrouting rules\" -j KUBE-POSTROUTING
-A KUBE-MARK-MASQ -j MARK --set-xmark 0x4000/0x4000
-A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN
-A KUBE-POSTROUTING -j MARK --set-xmark 0x4000/0x0
-A KUBE-POSTROUTING -m comment --comment \"kubernetes service traffic requiring SNAT\" -j MASQUERADE --random-fully
";

const FILTER: &str = "\
*filter
:KUBE-EXTERNAL-SERVICES - [0:0]
:KUBE-FORWARD - [0:0]
:KUBE-NODEPORTS - [0:0]
:KUBE-PROXY-CANARY - [0:0]
:KUBE-PROXY-FIREWALL - [0:0]
:KUBE-SERVICES - [0:0]
-A INPUT -m conntrack --ctstate NEW -m comment --comment \"kubernetes load balancer firewall\" -j KUBE-PROXY-FIREWALL
-A INPUT -m comment --comment \"kubernetes health check service ports\" -j KUBE-NODEPORTS
-A INPUT -m conntrack --ctstate NEW -m comment --comment \"kubernetes externally-visible service portals\" -j KUBE-EXTERNAL-SERVICES
-A FORWARD -m conntrack --ctstate NEW -m comment --comment \"kubernetes load balancer firewall\" -j KUBE-PROXY-FIREWALL
-A FORWARD -m comment --comment \"kubernetes forwarding rules\" -j KUBE-FORWARD
-A FORWARD -m conntrack --ctstate NEW -m comment --comment \"kubernetes service portals\" -j KUBE-SERVICES
-A FORWARD -m conntrack --ctstate NEW -m comment --comment \"kubernetes externally-visible service portals\" -j KUBE-EXTERNAL-SERVICES
-A OUTPUT -m conntrack --ctstate NEW -m comment --comment \"kubernetes load balancer firewall\" -j KUBE-PROXY-FIREWALL
-A OUTPUT -m conntrack --ctstate NEW -m comment --comment \"kubernetes service portals\" -j KUBE-SERVICES
-A KUBE-FORWARD -m conntrack --ctstate INVALID -j DROP
-A KUBE-FORWARD -m comment --comment \"kubernetes forwarding rules\" -m mark --mark 0x4000/0x4000 -j ACCEPT
-A KUBE-FORWARD -m comment --comment \"kubernetes forwarding conntrack rule\" -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
COMMIT
";

fn add(nat: &mut String, cluster_cidr: &str, service: &ServiceRules) -> std::fmt::Result {
    let ServiceRules { name, cluster_ip, node_port, endpoints } = service;
    // kube-proxy hashes the name; anything that is unique and as long will do.
    let id = format!("{:0>16}", name.replace(|c: char| !c.is_ascii_alphanumeric(), "").to_uppercase());
    let (ip, port) = (cluster_ip.ip(), cluster_ip.port());
    let bits = if ip.is_ipv4() { 32 } else { 128 };
    writeln!(nat, ":KUBE-SVC-{id} - [0:0]\n:KUBE-EXT-{id} - [0:0]")?;
    let to = format!("-d {ip}/{bits} -p tcp -m comment --comment \"{name} cluster IP\" -m tcp --dport {port}");
    writeln!(nat, "-A KUBE-SERVICES {to} -j KUBE-SVC-{id}")?;
    writeln!(nat, "-A KUBE-NODEPORTS -p tcp -m comment --comment {name} -m tcp --dport {node_port} -j KUBE-EXT-{id}")?;
    let masquerade = format!("masquerade traffic for {name} external destinations");
    writeln!(nat, "-A KUBE-EXT-{id} -m comment --comment \"{masquerade}\" -j KUBE-MARK-MASQ")?;
    writeln!(nat, "-A KUBE-EXT-{id} -j KUBE-SVC-{id}\n-A KUBE-SVC-{id} ! -s {cluster_cidr} {to} -j KUBE-MARK-MASQ")?;
    for (index, endpoint) in endpoints.iter().enumerate() {
        let separate = format!("KUBE-SEP-{index}{}", &id[1..]);
        let odds = match endpoints.len() - index {
            1 => String::new(),
            left => format!(" -m statistic --mode random --probability 0.{}", 1_000_000_000 / left),
        };
        writeln!(nat, ":{separate} - [0:0]")?;
        writeln!(nat, "-A KUBE-SVC-{id} -m comment --comment \"{name} -> {endpoint}\"{odds} -j {separate}")?;
        writeln!(nat, "-A {separate} -s {}/{bits} -m comment --comment {name} -j KUBE-MARK-MASQ", endpoint.ip())?;
        writeln!(nat, "-A {separate} -p tcp -m comment --comment {name} -m tcp -j DNAT --to-destination {endpoint}")?;
    }
    Ok(())
}

/// Adds rules to those that a host has.
pub fn restore(host: &Host, family: Family, rules: &str) -> Result<()> {
    let program = tool(family, "restore");
    let mut command = host.command(program)?;
    command.arg("--noflush").stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().doing(|| format!("run {program} (install iptables) on {host}"))?;
    let fed = child.stdin.take().expect("standard input is a pipe").write_all(rules.as_bytes());
    fed.doing(|| format!("feed {program}"))?;
    let output = child.wait_with_output().doing(|| format!("wait for {program}"))?;
    if output.status.success() {
        return Ok(());
    }
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    let place = netns::place(&host.netns());
    Err(Error::Command { command: program.into(), place, status: output.status, stderr })
}

/// A host's rules, without what changes by itself: counters and the time.
pub fn save(host: &Host, family: Family) -> Result<String> {
    let text = host.run(&[tool(family, "save")])?;
    let lines = text.lines().filter(|line| !line.starts_with('#')).map(|line| line.split(" [").next().unwrap_or(line));
    Ok(lines.fold(String::new(), |all, line| all + line + "\n"))
}

fn tool(family: Family, what: &str) -> &'static str {
    match (family, what) {
        (Family::V4, "restore") => "iptables-restore",
        (Family::V4, _) => "iptables-save",
        (Family::V6, "restore") => "ip6tables-restore",
        (Family::V6, _) => "ip6tables-save",
    }
}
