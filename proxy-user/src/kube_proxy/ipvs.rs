//! What IPVS mode leaves: virtual servers, the interface that has their addresses, and sets of addresses.

use std::fs;
use std::io;
use std::process::{Command, Stdio};

use rustix::net::netdevice::name_to_index;
use rustix::net::{AddressFamily, SocketType};

/// Has the addresses of all Services.
const INTERFACE: &str = "kube-ipvs0";
/// Of IPv4; those of IPv6 have `KUBE-6-` in the place of `KUBE-`. Others begin so too: kube-router's policies have `KUBE-SRC-`
/// and `KUBE-DST-`.
const SETS: [&str; 17] = [
    "KUBE-CLUSTER-IP",
    "KUBE-EXTERNAL-IP",
    "KUBE-EXTERNAL-IP-LOCAL",
    "KUBE-HEALTH-CHECK-NODE-PORT",
    "KUBE-IPVS-IPS",
    "KUBE-LOAD-BALANCER",
    "KUBE-LOAD-BALANCER-FW",
    "KUBE-LOAD-BALANCER-LOCAL",
    "KUBE-LOAD-BALANCER-SOURCE-CIDR",
    "KUBE-LOAD-BALANCER-SOURCE-IP",
    "KUBE-LOOP-BACK",
    "KUBE-NODE-PORT-LOCAL-SCTP-HASH",
    "KUBE-NODE-PORT-LOCAL-TCP",
    "KUBE-NODE-PORT-LOCAL-UDP",
    "KUBE-NODE-PORT-SCTP-HASH",
    "KUBE-NODE-PORT-TCP",
    "KUBE-NODE-PORT-UDP",
];

/// What is there.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Ipvs {
    pub(super) has_interface: bool,
    pub(super) virtual_servers: usize,
    pub(super) sets: Vec<String>,
}

impl Ipvs {
    pub(super) fn find() -> Self {
        let servers = fs::read_to_string("/proc/net/ip_vs").unwrap_or_default();
        let is_server = |line: &&str| ["TCP ", "UDP ", "SCTP "].iter().any(|protocol| line.starts_with(protocol));
        let has_interface = has_interface();
        Self {
            has_interface,
            // Somebody else may use IPVS: without the interface these aren't known to be kube-proxy's.
            virtual_servers: if has_interface { servers.lines().filter(is_server).count() } else { 0 },
            sets: sets(),
        }
    }

    /// Removes all of it; returns what.
    pub(super) fn remove(&self) -> io::Result<Vec<String>> {
        let mut removed = Vec::new();
        if self.virtual_servers > 0 {
            run("ipvsadm", &["--clear"])?;
            removed.push(format!("{} virtual servers of IPVS", self.virtual_servers));
        }
        if self.has_interface {
            run("ip", &["link", "delete", INTERFACE])?;
            removed.push(format!("interface {INTERFACE}"));
        }
        for set in &self.sets {
            run("ipset", &["destroy", set])?;
            removed.push(format!("ipset {set}"));
        }
        Ok(removed)
    }
}

fn has_interface() -> bool {
    let socket = rustix::net::socket(AddressFamily::INET, SocketType::DGRAM, None);
    socket.is_ok_and(|socket| name_to_index(socket, INTERFACE).is_ok())
}

fn sets() -> Vec<String> {
    let listed = Command::new("ipset").args(["list", "-n"]).stdin(Stdio::null()).stderr(Stdio::null()).output();
    let text = listed.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    text.lines().filter(|name| is_kube_proxys(name)).map(str::to_owned).collect()
}

fn is_kube_proxys(set: &str) -> bool {
    // Longer names aren't possible.
    let of_ipv6 = |name: &str| name.replacen("KUBE-", "KUBE-6-", 1).chars().take(31).collect::<String>();
    SETS.iter().any(|name| *name == set || of_ipv6(name) == set)
}

fn run(program: &str, arguments: &[&str]) -> io::Result<()> {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output();
    let output = output.map_err(|error| io::Error::new(error.kind(), format!("{program}: {error}; install it")))?;
    if output.status.success() {
        return Ok(());
    }
    Err(io::Error::other(format!("{program}: {}", String::from_utf8_lossy(&output.stderr).trim())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_of_others_are_not_kube_proxys_whatever_they_begin_with() {
        for set in [
            "KUBE-CLUSTER-IP",
            "KUBE-6-CLUSTER-IP",
            "KUBE-NODE-PORT-LOCAL-SCTP-HASH",
            "KUBE-6-LOAD-BALANCER-SOURCE-CID",
        ] {
            assert!(is_kube_proxys(set), "{set}");
        }
        for set in ["KUBE-SRC-7Q3ZKXAB", "KUBE-DST-7Q3ZKXAB", "KUBE-", "CLUSTER-IP", "KUBE-CLUSTER-IP-2"] {
            assert!(!is_kube_proxys(set), "{set}");
        }
    }
}
