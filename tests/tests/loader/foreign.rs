//! Programs of others at the same hooks keep their place, and ours keeps its own.

use std::net::UdpSocket;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;
use std::{io, mem};

use aya::programs::links::LinkOrder;
use aya::programs::tc::{SchedClassifierLink, TcAttachOptions};
use aya::programs::{ProgramInfo, SchedClassifier, TcAttachType};
use aya_obj::generated::{bpf_attr, bpf_cmd, bpf_insn, bpf_prog_type};
use proxy_user::dataplane::ebpf::{Attached, Hooks, TcMode};

use crate::support::{Place, add_veth, run};

/// `TC_ACT_UNSPEC`, on to the next program.
const HAND_ON: i32 = -1;
/// `TC_ACT_SHOT`.
const DROP: i32 = 2;

/// `r0 = verdict; exit`.
fn program(verdict: i32) -> OwnedFd {
    const MOVE_TO_R0: u8 = 0xb7;
    const EXIT: u8 = 0x95;
    let mut program: [bpf_insn; 2] =
        // SAFETY: integers only: all zero is a value.
        unsafe { mem::zeroed() };
    (program[0].code, program[0].imm, program[1].code) = (MOVE_TO_R0, verdict, EXIT);
    // SAFETY: as above.
    let mut attr: bpf_attr = unsafe { mem::zeroed() };
    attr.__bindgen_anon_3.prog_type = bpf_prog_type::BPF_PROG_TYPE_SCHED_CLS as u32;
    attr.__bindgen_anon_3.insn_cnt = 2;
    attr.__bindgen_anon_3.insns = program.as_ptr() as u64;
    attr.__bindgen_anon_3.license = c"GPL".as_ptr() as u64;
    let fd = bpf(bpf_cmd::BPF_PROG_LOAD, &attr);
    // SAFETY: the kernel has just given it to us.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

fn bpf(command: bpf_cmd, attr: &bpf_attr) -> i32 {
    // SAFETY: what the attributes point to lives in the callers' frames.
    let code = unsafe { libc::syscall(libc::SYS_bpf, command, attr, size_of::<bpf_attr>()) };
    assert!(code >= 0, "{command:?}: {}", io::Error::last_os_error());
    i32::try_from(code).unwrap()
}

/// A program of somebody else at an interface; gone when dropped.
struct Foreign {
    id: u32,
    _link: SchedClassifierLink,
}

impl Foreign {
    fn attach(place: &Place, name: &str, (verdict, direction): (i32, TcAttachType), order: LinkOrder) -> Self {
        let pin: PathBuf = place.bpffs().join(name);
        let path = std::ffi::CString::new(pin.as_os_str().as_encoded_bytes()).unwrap();
        let program = program(verdict);
        // SAFETY: integers only: all zero is a value.
        let mut attr: bpf_attr = unsafe { mem::zeroed() };
        attr.__bindgen_anon_4.pathname = path.as_ptr() as u64;
        attr.__bindgen_anon_4.bpf_fd = program.as_raw_fd().cast_unsigned();
        bpf(bpf_cmd::BPF_OBJ_PIN, &attr);
        let mut program = SchedClassifier::from_pin(Path::new(&pin)).unwrap();
        let options = TcAttachOptions::TcxOrder(order);
        let link = program.attach_with_options("eth0", direction, options).unwrap();
        Self { id: program.info().unwrap().id(), _link: program.take_link(link).unwrap() }
    }
}

fn at_ingress() -> Vec<u32> {
    let (_, programs) = SchedClassifier::query_tcx("eth0", TcAttachType::Ingress).unwrap();
    programs.iter().map(ProgramInfo::id).collect()
}

#[test]
fn programs_of_others_keep_their_order_while_agents_come_and_go() {
    let place = Place::new();
    let veth = add_veth("eth0");
    let there_before = Foreign::attach(&place, "before", (HAND_ON, TcAttachType::Ingress), LinkOrder::last());
    let attach = || {
        let mut dataplane = place.open(TcMode::Tcx).unwrap();
        assert_eq!(dataplane.attach_device(veth, "eth0", Hooks::Uplink).unwrap(), Attached::Yes);
        place.link_and_program(&format!("eth0-{veth}-ingress")).1
    };
    let first = attach();
    assert_eq!(at_ingress(), [first, there_before.id], "a new link of ours goes before the others");
    let in_front = Foreign::attach(&place, "in-front", (HAND_ON, TcAttachType::Ingress), LinkOrder::first());
    assert_eq!(at_ingress(), [in_front.id, first, there_before.id]);
    let next = attach();
    assert_ne!(first, next);
    assert_eq!(at_ingress(), [in_front.id, next, there_before.id], "the next agent takes the place of the last");
    place.clean_up().unwrap();
    assert_eq!(at_ingress(), [in_front.id, there_before.id]);
}

/// Packets that came out at the other end of `eth0`.
fn arrived() -> u64 {
    let statistics = run("ip -s -j link show dev eth0-peer");
    let statistics: serde_json::Value = serde_json::from_str(&statistics).unwrap();
    statistics[0]["stats64"]["rx"]["packets"].as_u64().unwrap()
}

#[test]
fn a_program_behind_ours_still_gets_what_is_not_ours() {
    let place = Place::new();
    let veth = add_veth("eth0");
    for command in [
        "ip link set eth0-peer up",
        "ip addr add 192.0.2.1/24 dev eth0",
        "ip neigh add 192.0.2.2 lladdr 02:00:00:00:00:02 dev eth0",
    ] {
        run(command);
    }
    let mut dataplane = place.open(TcMode::Tcx).unwrap();
    dataplane.attach_device(veth, "eth0", Hooks::Uplink).unwrap();
    let sends_one = || {
        let before = arrived();
        UdpSocket::bind("192.0.2.1:0").unwrap().send_to(b"?", "192.0.2.2:9").unwrap();
        sleep(Duration::from_millis(100));
        arrived() - before
    };
    let firewall = Foreign::attach(&place, "firewall", (DROP, TcAttachType::Egress), LinkOrder::last());
    assert_eq!(sends_one(), 0, "it drops everything");
    drop(firewall);
    assert_ne!(sends_one(), 0, "and was all that did");
}
