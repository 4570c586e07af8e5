//! Clean-up removes all that is ours and nothing else.

use std::fs;
use std::path::{Path, PathBuf};

use aya::programs::{SchedClassifier, TcAttachType};
use proxy_user::dataplane::ebpf::cleanup::cleanup;
use proxy_user::dataplane::ebpf::{Error, Hooks, TcMode};

use crate::support::{Place, add_veth, clean_up_at, run};

fn tcx_programs(ifname: &str) -> usize {
    let count = |direction| SchedClassifier::query_tcx(ifname, direction).unwrap().1.len();
    count(TcAttachType::Ingress) + count(TcAttachType::Egress)
}

/// What is on a BPF file system, but for what the kernel itself puts on each (`maps.debug`, `progs.debug`).
fn left(bpffs: &Path) -> Vec<PathBuf> {
    let paths = fs::read_dir(bpffs).unwrap().map(|entry| entry.unwrap().path());
    paths.filter(|path| path.extension().is_none_or(|extension| extension != "debug")).collect()
}

#[test]
fn nothing_is_left_and_a_second_run_finds_nothing() {
    let place = Place::new();
    let veth = add_veth("pod0");
    let mut dataplane = place.open(TcMode::Tcx).unwrap();
    dataplane.attach_device(veth, "pod0", Hooks::Pod).unwrap();
    dataplane.attach_sockets(place.cgroup()).unwrap();
    drop(dataplane);
    assert_eq!(tcx_programs("pod0"), 2);
    let removed = place.clean_up().unwrap();
    assert!(removed.iter().any(|pin| pin.ends_with("maps/SERVICES")), "{removed:?}");
    assert!(removed.iter().any(|pin| pin.ends_with("cgroup-connect4")), "{removed:?}");
    assert_eq!(tcx_programs("pod0"), 0);
    assert_eq!(left(place.bpffs()), Vec::<PathBuf>::new());
    assert_eq!(place.clean_up().unwrap(), [""; 0]);
}

#[test]
fn a_file_system_that_an_agent_mounted_is_unmounted() {
    let place = Place::new();
    let directory = tempfile::tempdir().unwrap();
    let bpffs = directory.path().join("bpf");
    drop(place.open_at(&bpffs, TcMode::Tcx).unwrap());
    let removed = clean_up_at(&bpffs).unwrap();
    assert!(removed.contains(&format!("BPF file system at {}", bpffs.display())), "{removed:?}");
    assert!(!fs::read_to_string("/proc/self/mounts").unwrap().contains(bpffs.to_str().unwrap()));
    assert_eq!(clean_up_at(&bpffs).unwrap(), [""; 0]);
}

#[test]
fn where_no_agent_ever_ran_there_is_nothing() {
    let place = Place::new();
    assert_eq!(cleanup(&place.bpffs().join("never")).unwrap(), [""; 0]);
    assert_eq!(cleanup(Path::new("/proc/never")).unwrap(), [""; 0]);
}

#[test]
fn a_running_agent_is_left_alone() {
    let place = Place::new();
    let veth = add_veth("pod0");
    let mut dataplane = place.open(TcMode::Tcx).unwrap();
    dataplane.attach_device(veth, "pod0", Hooks::Pod).unwrap();
    let error = cleanup(place.bpffs()).unwrap_err();
    assert!(matches!(error, Error::Locked { .. }), "{error}");
    assert_eq!(tcx_programs("pod0"), 2);
}

#[test]
fn programs_of_others_stay_and_come_after_ours() {
    let (place, others) = (Place::new(), Place::new());
    let veth = add_veth("pod0");
    others.open(TcMode::Tcx).unwrap().attach_device(veth, "pod0", Hooks::Pod).unwrap();
    place.open(TcMode::Tcx).unwrap().attach_device(veth, "pod0", Hooks::Pod).unwrap();
    let name = format!("pod0-{veth}-ingress");
    let programs = || -> Vec<u32> {
        let (_, programs) = SchedClassifier::query_tcx("pod0", TcAttachType::Ingress).unwrap();
        programs.iter().map(aya::programs::ProgramInfo::id).collect()
    };
    assert_eq!(programs(), [place.link_and_program(&name).1, others.link_and_program(&name).1]);
    place.clean_up().unwrap();
    assert_eq!(programs(), [others.link_and_program(&name).1]);
}

#[test]
fn changed_kernel_settings_are_restored_unless_changed_again() {
    let place = Place::new();
    let (first, second) = (add_veth("eth0.1"), add_veth("eth1"));
    let setting = |path: &str| fs::read_to_string(format!("/proc/sys/net/ipv4/conf/{path}")).unwrap().trim().to_owned();
    let settings = || ["eth0.1/rp_filter", "eth1/rp_filter", "lo/accept_local", "lo/route_localnet"].map(setting);
    for path in ["all/rp_filter", "eth0.1/rp_filter", "eth1/rp_filter"] {
        fs::write(format!("/proc/sys/net/ipv4/conf/{path}"), if path.starts_with("all") { "0" } else { "1" }).unwrap();
    }
    let mut dataplane = place.open(TcMode::Tcx).unwrap();
    dataplane.attach_device(first, "eth0.1", Hooks::Uplink).unwrap();
    dataplane.attach_device(second, "eth1", Hooks::Uplink).unwrap();
    dataplane.attach_device(1, "lo", Hooks::Loopback).unwrap();
    drop(dataplane);
    assert_eq!(settings(), ["2", "2", "1", "1"]);
    fs::write("/proc/sys/net/ipv4/conf/eth1/rp_filter", "0").unwrap();
    place.clean_up().unwrap();
    assert_eq!(settings(), ["1", "0", "0", "0"]);
    assert!(run("ip -o link").contains("eth0.1"));
}
