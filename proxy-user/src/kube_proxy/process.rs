//! A kube-proxy that runs.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

/// Where it tells its mode unless it was told otherwise.
const METRICS: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 10249);
/// How long it may take: it is on this machine.
const LIMIT: Duration = Duration::from_millis(500);
/// Modes it may have.
const MODES: [&str; 4] = ["iptables", "ipvs", "nftables", "userspace"];

/// What shows that a kube-proxy works on this process's network namespace: `process 123`, or where it answers.
///
/// In a container that doesn't see the node's processes, the second is all there is.
pub(crate) fn running() -> Option<String> {
    process().or_else(answers)
}

fn process() -> Option<String> {
    let ours = fs::read_link("/proc/self/ns/net").ok()?;
    let is_one = |path: &Path| {
        let name = fs::read_to_string(path.join("comm")).unwrap_or_default();
        name.trim() == "kube-proxy" && fs::read_link(path.join("ns/net")).is_ok_and(|netns| netns == ours)
    };
    let processes = fs::read_dir("/proc").ok()?.flatten().map(|entry| entry.path());
    let found = processes.filter(|path| is_one(path)).find_map(|path| path.file_name()?.to_str().map(str::to_owned));
    found.map(|pid| format!("process {pid}"))
}

fn answers() -> Option<String> {
    let mut stream = TcpStream::connect_timeout(&METRICS, LIMIT).ok()?;
    stream.set_read_timeout(Some(LIMIT)).ok()?;
    stream.write_all(b"GET /proxyMode HTTP/1.0\r\nHost: localhost\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let mode = answer.lines().last()?.trim();
    MODES.contains(&mode).then(|| format!("it answers at {METRICS}, in mode {mode}"))
}
