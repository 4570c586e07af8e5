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

/// What every missing feature is mended by: `README.md` has the table of kernels.
const NEWER: &str =
    "use a newer kernel, or one built with CONFIG_BPF_SYSCALL, CONFIG_CGROUP_BPF and CONFIG_NET_CLS_BPF";
const WITHOUT_SOCKET_LB: &str = "use a newer kernel with CONFIG_CGROUP_BPF, or --socket-lb off";

/// Hooks of the socket programs.
const SOCKET_HOOKS: [(&str, CgroupSockAddrAttachType); 8] = [
    ("connect4", CgroupSockAddrAttachType::Connect4),
    ("connect6", CgroupSockAddrAttachType::Connect6),
    ("sendmsg4", CgroupSockAddrAttachType::UDPSendMsg4),
    ("sendmsg6", CgroupSockAddrAttachType::UDPSendMsg6),
    ("recvmsg4", CgroupSockAddrAttachType::UDPRecvMsg4),
    ("recvmsg6", CgroupSockAddrAttachType::UDPRecvMsg6),
    ("getpeername4", CgroupSockAddrAttachType::GetPeerName4),
    ("getpeername6", CgroupSockAddrAttachType::GetPeerName6),
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

fn maps() -> Check {
    let types = [
        ("hash", MapType::Hash),
        ("LRU hash", MapType::LruHash),
        ("array", MapType::Array),
        ("per-CPU array", MapType::PerCpuArray),
    ];
    all(
        "map types",
        types.map(|(name, map_type)| (name, is_map_supported(map_type).map_err(|error| error.to_string()))),
        NEWER,
    )
}

fn tc_programs() -> Check {
    let supported = is_program_supported(ProgramType::SchedClassifier).map_err(|error| error.to_string());
    all("tc programs", [("sched_cls", supported)], NEWER)
}

fn tc_helpers() -> Check {
    let helpers = [
        ("bpf_fib_lookup", BpfHelper::BPF_FUNC_fib_lookup),
        ("bpf_redirect_neigh", BpfHelper::BPF_FUNC_redirect_neigh),
        ("bpf_skb_change_tail", BpfHelper::BPF_FUNC_skb_change_tail),
        ("bpf_skc_lookup_tcp", BpfHelper::BPF_FUNC_skc_lookup_tcp),
        ("bpf_ktime_get_coarse_ns", BpfHelper::BPF_FUNC_ktime_get_coarse_ns),
        ("bpf_loop", BpfHelper::BPF_FUNC_loop),
    ];
    let tried = helpers.map(|(name, helper)| {
        (name, is_helper_supported(ProgramType::SchedClassifier, helper).map_err(|error| error.to_string()))
    });
    all("tc helpers", tried, NEWER)
}

/// Asking which programs are attached takes the hook to exist. Every network namespace has `lo`.
fn tcx() -> Check {
    let mend = "a restart of the agent is seamless from Linux 6.6 on (commit e420bed02507)";
    match SchedClassifier::query_tcx("lo", TcAttachType::Ingress) {
        Ok(_) => Check::ok("tcx", "there"),
        Err(error) => Check::warn("tcx", format!("not there ({error}): clsact filters are used instead"), mend),
    }
}

fn socket_hooks() -> Check {
    let tried = SOCKET_HOOKS.map(|(name, hook)| (name, loads(hook, &*PASS).map_err(|error| error.to_string())));
    all("socket hooks", tried, WITHOUT_SOCKET_LB)
}

/// What a call to a Service without endpoints is refused with.
fn socket_helpers() -> Check {
    const BPF_FUNC_SET_RETVAL: i32 = 187;
    let program = [instruction(MOV64_IMMEDIATE, 1, 0), instruction(CALL, 0, BPF_FUNC_SET_RETVAL), PASS[0], PASS[1]];
    let tried = loads(CgroupSockAddrAttachType::Connect4, &program).map_err(|error| error.to_string());
    all("socket helpers", [("bpf_set_retval", tried)], WITHOUT_SOCKET_LB)
}

fn all<const N: usize>(name: &'static str, tried: [(&str, Result<bool, String>); N], mend: &'static str) -> Check {
    let missing = |(feature, result): &(&str, Result<bool, String>)| match result {
        Ok(true) => None,
        Ok(false) => Some(format!("no {feature}")),
        Err(error) => Some(format!("{feature}: {error}")),
    };
    let failures: Vec<_> = tried.iter().filter_map(missing).collect();
    if failures.is_empty() {
        Check::ok(name, tried.map(|(feature, _)| feature).join(", "))
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
