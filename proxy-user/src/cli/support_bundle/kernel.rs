//! The kernel: version, options, settings, loaded programs.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read as _;
use std::path::Path;

use anyhow::Context as _;
use aya::programs::loaded_programs;
use flate2::read::GzDecoder;
use serde::Serialize;

use crate::cli::output;

/// Settings below /proc/sys; `*` stands for each interface.
const SYSCTLS: [&str; 15] = [
    "kernel/unprivileged_bpf_disabled",
    "net/core/bpf_jit_enable",
    "net/core/bpf_jit_limit",
    "net/ipv4/conf/*/accept_local",
    "net/ipv4/conf/*/forwarding",
    "net/ipv4/conf/*/route_localnet",
    "net/ipv4/conf/*/rp_filter",
    "net/ipv4/ip_forward",
    "net/ipv4/ip_local_port_range",
    "net/ipv4/ip_local_reserved_ports",
    "net/ipv6/conf/*/disable_ipv6",
    "net/ipv6/conf/*/forwarding",
    "net/bridge/bridge-nf-call-iptables",
    "net/netfilter/nf_conntrack_count",
    "net/netfilter/nf_conntrack_max",
];
/// Options by the start of their names.
const OPTIONS: [&str; 10] = [
    "CONFIG_BPF",
    "CONFIG_BRIDGE",
    "CONFIG_CGROUP_BPF",
    "CONFIG_DEBUG_INFO_BTF",
    "CONFIG_IPV6",
    "CONFIG_LSM",
    "CONFIG_NET_CLS",
    "CONFIG_NET_SCH_INGRESS",
    "CONFIG_NET_XGRESS",
    "CONFIG_VETH",
];

/// Each setting there is, by the name that `sysctl` has for it, an interface's dots as slashes.
pub(super) fn sysctls() -> anyhow::Result<String> {
    let mut found = BTreeMap::new();
    for setting in SYSCTLS {
        let pattern = Path::new("/proc/sys").join(setting);
        for path in glob::glob(&pattern.to_string_lossy())?.flatten() {
            let name = path.strip_prefix("/proc/sys").unwrap_or(&path).display().to_string();
            // One that can't be read (an interface that went, a setting of another network namespace) isn't there.
            if let Ok(value) = fs::read_to_string(&path) {
                found.insert(name, value.trim().to_owned());
            }
        }
    }
    output::json(&found)
}

#[derive(Serialize)]
struct Uname {
    release: String,
    version: String,
    machine: String,
}

pub(super) fn version() -> anyhow::Result<String> {
    let uname = rustix::system::uname();
    output::json(&Uname {
        release: uname.release().to_string_lossy().into_owned(),
        version: uname.version().to_string_lossy().into_owned(),
        machine: uname.machine().to_string_lossy().into_owned(),
    })
}

/// The kernel tells its options itself (`CONFIG_IKCONFIG_PROC`), or its package left them in /boot.
pub(super) fn options() -> anyhow::Result<String> {
    let mut text = String::new();
    if let Ok(file) = File::open("/proc/config.gz") {
        GzDecoder::new(file).read_to_string(&mut text).context("/proc/config.gz")?;
    } else {
        let release = rustix::system::uname().release().to_string_lossy().into_owned();
        let path = format!("/boot/config-{release}");
        text = fs::read_to_string(&path).with_context(|| format!("there is no /proc/config.gz, and {path}"))?;
    }
    let name = |line: &str| line.strip_prefix("# ").unwrap_or(line).to_owned();
    let ours = |line: &&str| OPTIONS.iter().any(|option| name(line).starts_with(option));
    Ok(text.lines().filter(ours).fold(String::new(), |text, line| text + line + "\n"))
}

#[derive(Serialize)]
struct Program {
    id: u32,
    name: String,
    r#type: String,
}

/// Everybody's, as others may be on our hooks.
pub(super) fn programs() -> anyhow::Result<String> {
    let mut programs = Vec::new();
    for program in loaded_programs() {
        let program = program.context("list the programs")?;
        programs.push(Program {
            id: program.id(),
            name: program.name_as_str().unwrap_or_default().to_owned(),
            r#type: format!("{:?}", program.program_type()),
        });
    }
    output::json(&programs)
}
