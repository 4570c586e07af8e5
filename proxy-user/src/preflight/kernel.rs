//! The kernel: features, tried one by one, and settings.

use std::io;
use std::os::fd::{FromRawFd as _, OwnedFd};
use std::path::Path;
use std::sync::LazyLock;
use std::{fs, mem};

use aya::maps::MapType;
use aya::programs::tc::{SchedClassifier, TcAttachType};
use aya::programs::{CgroupSockAddrAttachType, ProgramType};
use aya::sys::{BpfHelper, is_helper_supported, is_map_supported, is_program_supported};
use aya_obj::generated::{bpf_attach_type, bpf_attr, bpf_cmd, bpf_insn, bpf_prog_type};

use super::Check;
use crate::config::SocketLb;

/// What every missing feature is mended by: `docs/kernels.md` has the table of kernels.
const NEWER: &str = "use a newer kernel (6.1 is the oldest one tried), or one built with CONFIG_BPF_SYSCALL, CONFIG_CGROUP_BPF \
                     and CONFIG_NET_CLS_BPF; or serve by rules: --mode iptables";
const WITHOUT_SOCKET_LB: &str = "use a newer kernel with CONFIG_CGROUP_BPF, or --socket-lb off, or --mode iptables";

/// A feature by its name, and the first mainline version that has it: for people, it decides nothing.
type Feature = (&'static str, &'static str);

/// Hooks of the socket programs.
const SOCKET_HOOKS: [(Feature, CgroupSockAddrAttachType); 8] = [
    (("connect4", "4.17"), CgroupSockAddrAttachType::Connect4),
    (("connect6", "4.17"), CgroupSockAddrAttachType::Connect6),
    (("sendmsg4", "4.18"), CgroupSockAddrAttachType::UDPSendMsg4),
    (("sendmsg6", "4.18"), CgroupSockAddrAttachType::UDPSendMsg6),
    (("recvmsg4", "5.2"), CgroupSockAddrAttachType::UDPRecvMsg4),
    (("recvmsg6", "5.2"), CgroupSockAddrAttachType::UDPRecvMsg6),
    (("getpeername4", "5.8"), CgroupSockAddrAttachType::GetPeerName4),
    (("getpeername6", "5.8"), CgroupSockAddrAttachType::GetPeerName6),
];

pub(super) fn release() -> Check {
    Check::ok("kernel", rustix::system::uname().release().to_string_lossy())
}

/// Tries the features; takes the privilege to load programs. Nothing is attached.
pub(super) fn features(socket_lb: SocketLb) -> Vec<Check> {
    let mut checks = vec![maps(), tc_programs(), tc_helpers(), tcx()];
    if socket_lb != SocketLb::Off {
        checks.extend([socket_hooks(), socket_helpers()]);
    }
    checks
}

/// Settings that make things slower, or harder to look into.
pub(super) fn settings() -> Vec<Check> {
    vec![btf(), jit()]
}

/// Tries what the tables take that the agent writes, with or without programs that read them.
pub(super) fn tables() -> Check {
    of_maps(TABLES, "use a newer kernel, or one built with CONFIG_BPF_SYSCALL")
}

const TABLES: [(Feature, MapType); 5] = [
    (("hash", "3.19"), MapType::Hash),
    (("per-CPU hash", "4.6"), MapType::PerCpuHash),
    (("array", "3.19"), MapType::Array),
    (("per-CPU array", "4.6"), MapType::PerCpuArray),
    (("longest prefix trie", "4.11"), MapType::LpmTrie),
];

fn maps() -> Check {
    let [hash, per_cpu_hash, array, per_cpu_array, trie] = TABLES;
    let (lru, ring) = ((("LRU hash", "4.10"), MapType::LruHash), (("ring buffer", "5.8"), MapType::RingBuf));
    of_maps([hash, lru, per_cpu_hash, array, per_cpu_array, trie, ring], NEWER)
}

fn of_maps<const N: usize>(types: [(Feature, MapType); N], mend: &'static str) -> Check {
    let tried = types.map(|(feature, map_type)| (feature, is_map_supported(map_type).map_err(|e| e.to_string())));
    all("map types", tried, mend)
}

fn tc_programs() -> Check {
    let supported = is_program_supported(ProgramType::SchedClassifier).map_err(|error| error.to_string());
    all("tc programs", [(("sched_cls", "4.1"), supported)], NEWER)
}

fn tc_helpers() -> Check {
    let helpers = [
        (("bpf_fib_lookup", "4.18"), BpfHelper::BPF_FUNC_fib_lookup),
        (("bpf_redirect_neigh", "5.10"), BpfHelper::BPF_FUNC_redirect_neigh),
        (("bpf_skb_change_tail", "4.9"), BpfHelper::BPF_FUNC_skb_change_tail),
        (("bpf_skc_lookup_tcp", "5.2"), BpfHelper::BPF_FUNC_skc_lookup_tcp),
        (("bpf_ktime_get_coarse_ns", "5.11"), BpfHelper::BPF_FUNC_ktime_get_coarse_ns),
        (("bpf_loop", "5.17"), BpfHelper::BPF_FUNC_loop),
    ];
    of_tc("tc helpers", helpers)
}

fn of_tc<const N: usize>(name: &'static str, helpers: [(Feature, BpfHelper); N]) -> Check {
    let tried = helpers.map(|(feature, helper)| {
        (feature, is_helper_supported(ProgramType::SchedClassifier, helper).map_err(|error| error.to_string()))
    });
    all(name, tried, NEWER)
}

/// Asking which programs are attached takes the hook to exist. Every network namespace has `lo`.
fn tcx() -> Check {
    // Either serves, so the lack is nothing to mend.
    match SchedClassifier::query_tcx("lo", TcAttachType::Ingress) {
        Ok(_) => Check::ok("tcx", "there"),
        Err(_) => Check::ok("tcx", "not there (Linux 6.6): clsact filters of priority 1 are used instead"),
    }
}

fn socket_hooks() -> Check {
    let tried = SOCKET_HOOKS.map(|(feature, hook)| (feature, loads(hook, &*PASS).map_err(|error| error.to_string())));
    all("socket hooks", tried, WITHOUT_SOCKET_LB)
}

/// Who calls, and what a call to a Service without endpoints is refused with.
fn socket_helpers() -> Check {
    const BPF_FUNC_GET_NETNS_COOKIE: i32 = 122;
    const BPF_FUNC_SET_RETVAL: i32 = 187;
    let call = |helper| instruction(CALL, 0, helper);
    // The first argument is where the context was.
    let cookie = [call(BPF_FUNC_GET_NETNS_COOKIE), PASS[0], PASS[1]];
    let refusal = [instruction(MOV64_IMMEDIATE, 1, 0), call(BPF_FUNC_SET_RETVAL), PASS[0], PASS[1]];
    let tried =
        |program: &[bpf_insn]| loads(CgroupSockAddrAttachType::Connect4, program).map_err(|error| error.to_string());
    let helpers = [(("bpf_get_netns_cookie", "5.7"), tried(&cookie)), (("bpf_set_retval", "5.18"), tried(&refusal))];
    all("socket helpers", helpers, WITHOUT_SOCKET_LB)
}

fn all<const N: usize>(name: &'static str, tried: [(Feature, Result<bool, String>); N], mend: &'static str) -> Check {
    let missing = |((feature, since), result): &(Feature, Result<bool, String>)| match result {
        Ok(true) => None,
        Ok(false) => Some(format!("no {feature} (Linux {since})")),
        Err(error) => Some(format!("{feature}: {error}")),
    };
    let failures: Vec<_> = tried.iter().filter_map(missing).collect();
    if failures.is_empty() {
        Check::ok(name, tried.map(|((feature, _), _)| feature).join(", "))
    } else {
        Check::fail(name, failures.join(", "), mend)
    }
}

/// Whether the kernel knows a hook of sockets: they came one by one, and aya tries `connect4` only.
fn loads(hook: CgroupSockAddrAttachType, program: &[bpf_insn]) -> io::Result<bool> {
    match load(hook, program) {
        Ok(_) => Ok(true),
        // What the kernel doesn't know is an invalid argument.
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => Ok(false),
        Err(error) => Err(error),
    }
}

/// `return 1`, which lets pass.
static PASS: LazyLock<[bpf_insn; 2]> = LazyLock::new(|| [instruction(MOV64_IMMEDIATE, 0, 1), instruction(EXIT, 0, 0)]);

const MOV64_IMMEDIATE: u8 = 0xb7;
const CALL: u8 = 0x85;
const EXIT: u8 = 0x95;

fn instruction(code: u8, register: u8, imm: i32) -> bpf_insn {
    bpf_insn { code, _bitfield_align_1: [], _bitfield_1: bpf_insn::new_bitfield_1(register, 0), off: 0, imm }
}

/// Loads a program that lets pass, for a hook of sockets. The kernel unloads it when the descriptor is closed.
#[cfg(test)]
pub(crate) fn load_for(hook: CgroupSockAddrAttachType) -> io::Result<OwnedFd> {
    load(hook, &*PASS)
}

fn load(hook: CgroupSockAddrAttachType, program: &[bpf_insn]) -> io::Result<OwnedFd> {
    // SAFETY: the union holds integers only, for which zero is a value, and the kernel wants zero in what is not set.
    let mut attr: bpf_attr = unsafe { mem::zeroed() };
    // SAFETY: BPF_PROG_LOAD reads this member, and every bit pattern is a value of it.
    let load = unsafe { &mut attr.__bindgen_anon_3 };
    load.prog_type = bpf_prog_type::BPF_PROG_TYPE_CGROUP_SOCK_ADDR as u32;
    load.expected_attach_type = bpf_attach_type::from(hook) as u32;
    load.insns = program.as_ptr() as u64;
    load.insn_cnt = program.len() as u32;
    load.license = c"GPL".as_ptr() as u64;
    for (to, from) in load.prog_name.iter_mut().zip(*b"sluice_probe") {
        *to = from.cast_signed();
    }
    // SAFETY: the kernel reads size_of::<bpf_attr>() bytes of attr and the program and licence it points to, which all
    // outlive the call, and writes nothing, as no log is asked for.
    let fd = unsafe { libc::syscall(libc::SYS_bpf, bpf_cmd::BPF_PROG_LOAD, &raw const attr, size_of::<bpf_attr>()) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel just made this descriptor, and nothing else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

fn btf() -> Check {
    if Path::new("/sys/kernel/btf/vmlinux").exists() {
        return Check::ok("BTF", "/sys/kernel/btf/vmlinux");
    }
    let mend = "use a kernel built with CONFIG_DEBUG_INFO_BTF, or mount /sys";
    Check::warn("BTF", "the kernel describes no types of its own: bpftool shows less", mend)
}

fn jit() -> Check {
    match fs::read_to_string("/proc/sys/net/core/bpf_jit_enable").as_deref().map(str::trim) {
        Ok("0") => Check::warn(
            "JIT",
            "off: programs are interpreted, several times slower",
            "sysctl -w net.core.bpf_jit_enable=1",
        ),
        Ok(_) => Check::ok("JIT", "on"),
        // The setting is the machine's, and other network namespaces don't show it.
        Err(_) => Check::ok("JIT", "not shown in this network namespace"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Outcome;
    use super::*;

    /// A helper of other programs stands for one that the kernel lacks: it is refused in the same words.
    #[test]
    fn a_helper_that_is_not_there_is_named_with_the_version_that_has_it() {
        let check = of_tc(
            "tc helpers",
            [(("bpf_loop", "5.17"), BpfHelper::BPF_FUNC_loop), (("bpf_bind", "4.17"), BpfHelper::BPF_FUNC_bind)],
        );
        assert_eq!((check.outcome, check.found.as_str()), (Outcome::Fail, "no bpf_bind (Linux 4.17)"));
        assert!(check.mend.is_some_and(|mend| mend.contains("newer kernel")));
    }

    #[test]
    fn every_type_of_map_that_the_programs_have_is_tried() {
        let check = maps();
        assert_eq!(check.outcome, Outcome::Ok, "{check:?}");
        assert!(check.found.contains("longest prefix trie, ring buffer"), "{check:?}");
    }
}
