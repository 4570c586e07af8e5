//! What the kernel itself says is attached and loaded, whatever is pinned: the suites' second opinion.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io;
use std::mem::{size_of, zeroed};
use std::os::fd::AsRawFd as _;
use std::path::Path;

use anyhow::{Context as _, Result};
use aya::maps::{MapInfo, loaded_maps};
use aya::programs::{ProgramInfo, SchedClassifier, TcAttachType, loaded_programs};
use aya_obj::generated::{bpf_attach_type, bpf_attr, bpf_cmd};
use lab::{Host, Node};
use serde_json::Value;

const SOCKET_HOOKS: [(&str, bpf_attach_type); 8] = [
    ("connect4", bpf_attach_type::BPF_CGROUP_INET4_CONNECT),
    ("connect6", bpf_attach_type::BPF_CGROUP_INET6_CONNECT),
    ("sendmsg4", bpf_attach_type::BPF_CGROUP_UDP4_SENDMSG),
    ("sendmsg6", bpf_attach_type::BPF_CGROUP_UDP6_SENDMSG),
    ("recvmsg4", bpf_attach_type::BPF_CGROUP_UDP4_RECVMSG),
    ("recvmsg6", bpf_attach_type::BPF_CGROUP_UDP6_RECVMSG),
    ("getpeername4", bpf_attach_type::BPF_CGROUP_INET4_GETPEERNAME),
    ("getpeername6", bpf_attach_type::BPF_CGROUP_INET6_GETPEERNAME),
];
/// More programs than any hook has here.
const ROOM: usize = 16;

/// Every hook of a node where a program runs, such as `eth0 ingress` and `cgroup connect4` -> the programs' numbers.
pub(crate) fn attached(node: &Node) -> Result<BTreeMap<String, Vec<u32>>> {
    let interfaces = interfaces(node)?;
    let mut hooks = node.inside(|| at_interfaces(&interfaces))??;
    let cgroup = File::open(node.cgroup_root())?;
    for (name, attach_type) in SOCKET_HOOKS {
        hooks.insert(format!("cgroup {name}"), at_cgroup(&cgroup, attach_type)?);
    }
    hooks.retain(|_, programs| !programs.is_empty());
    Ok(hooks)
}

/// Names of the interfaces of a host.
pub(crate) fn interfaces(host: &Host) -> Result<Vec<String>> {
    let list: Value = serde_json::from_str(&host.run(&["ip", "-j", "link"])?)?;
    let names = list.as_array().into_iter().flatten().filter_map(|link| link["ifname"].as_str());
    Ok(names.map(ToOwned::to_owned).collect())
}

fn at_interfaces(names: &[String]) -> Result<BTreeMap<String, Vec<u32>>> {
    let mut hooks = BTreeMap::new();
    for name in names {
        for (direction, attach_type) in [("ingress", TcAttachType::Ingress), ("egress", TcAttachType::Egress)] {
            let (_, programs) = SchedClassifier::query_tcx(name, attach_type).with_context(|| name.clone())?;
            hooks.insert(format!("{name} {direction}"), programs.iter().map(ProgramInfo::id).collect());
        }
    }
    Ok(hooks)
}

/// `BPF_PROG_QUERY`, which aya offers for interfaces only.
fn at_cgroup(cgroup: &File, attach_type: bpf_attach_type) -> io::Result<Vec<u32>> {
    let mut programs = [0u32; ROOM];
    // SAFETY: a union of integers, for which zero is a value; the kernel wants unused fields zero.
    let mut attr: bpf_attr = unsafe { zeroed() };
    attr.query.__bindgen_anon_1.target_fd = cgroup.as_raw_fd().cast_unsigned();
    attr.query.attach_type = attach_type as u32;
    attr.query.prog_ids = programs.as_mut_ptr() as u64;
    attr.query.__bindgen_anon_2.prog_cnt = ROOM as u32;
    let command = bpf_cmd::BPF_PROG_QUERY as libc::c_long;
    // SAFETY: `attr` is whole and initialised, and `programs` has room for as many numbers as it says; both outlive the call.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, &raw mut attr, size_of::<bpf_attr>()) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel wrote there how many numbers it wrote.
    let count = unsafe { attr.query.__bindgen_anon_2.prog_cnt } as usize;
    Ok(programs[..count].to_vec())
}

/// Numbers of the programs that are loaded on this machine.
pub(crate) fn programs() -> BTreeSet<u32> {
    // One that goes while they are listed is gone.
    loaded_programs().flatten().map(|program| program.id()).collect()
}

/// Numbers of the maps that are there on this machine.
pub(crate) fn maps() -> BTreeSet<u32> {
    loaded_maps().flatten().map(|map| map.id()).collect()
}

/// Numbers of the maps that are pinned in a directory.
pub(crate) fn pinned_maps(directory: &Path) -> Result<BTreeSet<u32>> {
    let entries = std::fs::read_dir(directory).with_context(|| directory.display().to_string())?;
    let paths = entries.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    // What is no map is the note of the tables' layouts.
    let maps = paths.into_iter().filter(|path| !path.is_symlink());
    maps.map(|path| Ok(MapInfo::from_pin(path)?.id())).collect()
}

/// Name of each host -> TCP segments it has sent again, which is what becomes of a packet lost.
pub(crate) fn retransmitted(hosts: &[&Host]) -> Result<BTreeMap<String, u64>> {
    hosts.iter().map(|host| Ok((host.name().to_owned(), host.counter("Tcp", "RetransSegs")?))).collect()
}
