//! What an earlier agent left goes on, with the new agent's programs.

use std::fs;

use aya::maps::HashMap;
use proxy_common::tables::{self, Device};
use proxy_user::dataplane::ebpf::{Attached, Error, Hooks, TcMode};

use crate::support::{Place, add_veth, ifindex, run};

#[test]
fn links_stay_and_run_the_new_programs() {
    let place = Place::new();
    let veth = add_veth("pod0");
    let attach = || {
        let mut dataplane = place.open(TcMode::Tcx).unwrap();
        dataplane.attach_device(1, "lo", Hooks::Loopback).unwrap();
        dataplane.attach_device(veth, "pod0", Hooks::Pod).unwrap();
        dataplane.attach_sockets(place.cgroup()).unwrap();
    };
    attach();
    let names = place.pinned_links();
    assert_eq!(names.len(), 3 + 8, "{names:?}");
    let before: Vec<_> = names.iter().map(|name| place.link_and_program(name)).collect();
    attach();
    assert_eq!(place.pinned_links(), names);
    for (name, (link, program)) in names.iter().zip(before) {
        let (link_now, program_now) = place.link_and_program(name);
        assert_eq!(link_now, link, "{name}: another link");
        assert_ne!(program_now, program, "{name}: the old program");
    }
}

#[test]
fn opening_changes_nothing_that_runs() {
    let place = Place::new();
    let veth = add_veth("pod0");
    place.open(TcMode::Tcx).unwrap().attach_device(veth, "pod0", Hooks::Pod).unwrap();
    let name = format!("pod0-{veth}-ingress");
    let before = place.link_and_program(&name);
    drop(place.open(TcMode::Tcx).unwrap());
    assert_eq!(place.link_and_program(&name), before);
}

#[test]
fn a_renamed_interface_keeps_its_links() {
    let place = Place::new();
    let veth = add_veth("pod0");
    place.open(TcMode::Tcx).unwrap().attach_device(veth, "pod0", Hooks::Pod).unwrap();
    let (link, _) = place.link_and_program(&format!("pod0-{veth}-egress"));
    run("ip link set pod0 name pod.0");
    place.open(TcMode::Tcx).unwrap().attach_device(veth, "pod.0", Hooks::Pod).unwrap();
    assert_eq!(place.pinned_links(), [format!("pod%2e0-{veth}-egress"), format!("pod%2e0-{veth}-ingress")]);
    assert_eq!(place.link_and_program(&format!("pod%2e0-{veth}-egress")).0, link);
}

#[test]
fn an_interface_may_turn_out_to_be_something_else() {
    let place = Place::new();
    let veth = add_veth("eth0");
    let mut dataplane = place.open(TcMode::Tcx).unwrap();
    let name = format!("eth0-{veth}-ingress");
    dataplane.attach_device(veth, "eth0", Hooks::Pod).unwrap();
    let (link, program) = place.link_and_program(&name);
    dataplane.attach_device(veth, "eth0", Hooks::Uplink).unwrap();
    let (link_now, program_now) = place.link_and_program(&name);
    assert_eq!(link_now, link);
    assert_ne!(program_now, program);
}

#[test]
fn links_of_an_interface_that_is_gone_are_removed() {
    let place = Place::new();
    let veth = add_veth("pod0");
    place.open(TcMode::Tcx).unwrap().attach_device(veth, "pod0", Hooks::Pod).unwrap();
    run("ip link del pod0");
    let mut dataplane = place.open(TcMode::Tcx).unwrap();
    assert_eq!(place.pinned_links(), [""; 0]);
    assert_eq!(dataplane.attach_device(veth, "pod0", Hooks::Pod).unwrap(), Attached::InterfaceGone);
    let again = add_veth("pod0");
    assert_eq!(dataplane.attach_device(again, "pod0", Hooks::Pod).unwrap(), Attached::Yes);
}

#[test]
fn an_interface_that_goes_while_we_run_can_come_back_under_its_index() {
    let place = Place::new();
    let veth = add_veth("pod0");
    let mut dataplane = place.open(TcMode::Tcx).unwrap();
    dataplane.attach_device(veth, "pod0", Hooks::Pod).unwrap();
    run("ip link del pod0");
    dataplane.detach_device(veth).unwrap();
    run(&format!("ip link add pod0 index {veth} type veth peer name other"));
    assert_eq!(dataplane.attach_device(veth, "pod0", Hooks::Pod).unwrap(), Attached::Yes);
    assert_eq!(place.pinned_links().len(), 2);
}

#[test]
fn a_name_that_has_come_to_mean_another_interface_gets_nothing() {
    let place = Place::new();
    let veth = add_veth("pod0");
    let mut dataplane = place.open(TcMode::Tcx).unwrap();
    assert_eq!(dataplane.attach_device(veth + 100, "pod0", Hooks::Pod).unwrap(), Attached::InterfaceGone);
    assert_eq!(place.pinned_links(), [""; 0]);
    assert!(!run("ip -d link show dev pod0").contains("tcx"));
}

#[test]
fn only_wanted_interfaces_keep_programs_of_earlier_agents() {
    let place = Place::new();
    let (kept, dropped) = (add_veth("pod0"), add_veth("pod1"));
    let mut dataplane = place.open(TcMode::Tcx).unwrap();
    dataplane.attach_device(kept, "pod0", Hooks::Pod).unwrap();
    dataplane.attach_device(dropped, "pod1", Hooks::Pod).unwrap();
    drop(dataplane);
    place.open(TcMode::Tcx).unwrap().retain_devices(&[kept].into()).unwrap();
    assert_eq!(place.pinned_links(), [format!("pod0-{kept}-egress"), format!("pod0-{kept}-ingress")]);
}

#[test]
fn socket_programs_move_to_another_control_group_and_go_when_turned_off() {
    let place = Place::new();
    let below = place.cgroup().join("below");
    fs::create_dir(&below).unwrap();
    let mut dataplane = place.open(TcMode::Tcx).unwrap();
    dataplane.attach_sockets(place.cgroup()).unwrap();
    let (link, _) = place.link_and_program("cgroup-connect4");
    drop(dataplane);
    let mut dataplane = place.open(TcMode::Tcx).unwrap();
    dataplane.attach_sockets(&below).unwrap();
    assert_ne!(place.link_and_program("cgroup-connect4").0, link);
    drop(dataplane);
    let mut dataplane = place.open(TcMode::Tcx).unwrap();
    assert!(dataplane.detach_sockets().unwrap());
    assert_eq!(place.pinned_links(), [""; 0]);
    assert!(!dataplane.detach_sockets().unwrap());
    fs::remove_dir(&below).unwrap();
}

#[test]
fn a_pinned_map_of_another_layout_is_refused() {
    let place = Place::new();
    drop(place.open(TcMode::Tcx).unwrap());
    let pin = place.pins().join("maps/DEVICES");
    fs::remove_file(&pin).unwrap();
    HashMap::<_, u32, [u8; 64]>::create(tables::DEVICES.max_entries, 1).unwrap().pin(&pin).unwrap();
    let error = place.open(TcMode::Tcx).err().expect("opening a map of another layout");
    let Error::MapLayout { path, property: "value size", got: 64, want } = &error else { panic!("{error}") };
    assert_eq!((path, *want as usize), (&pin, size_of::<Device>()));
}

#[test]
fn a_second_agent_is_refused() {
    let place = Place::new();
    let first = place.open(TcMode::Tcx).unwrap();
    let error = place.try_open(TcMode::Tcx).err().expect("opening what another agent holds");
    assert!(matches!(error, Error::Locked { .. }), "{error}");
    drop(first);
    place.open(TcMode::Tcx).unwrap();
}

#[test]
fn programs_of_another_layout_go_when_told() {
    let place = Place::new();
    let veth = add_veth("pod0");
    place.open(TcMode::Tcx).unwrap().attach_device(veth, "pod0", Hooks::Pod).unwrap();
    fs::rename(place.pins(), place.bpffs().join("v0")).unwrap();
    let mut dataplane = place.open(TcMode::Tcx).unwrap();
    dataplane.attach_device(veth, "pod0", Hooks::Pod).unwrap();
    dataplane.remove_other_versions().unwrap();
    assert!(!place.bpffs().join("v0").exists());
    assert_eq!(place.pinned_links().len(), 2);
    assert_eq!(ifindex("pod0"), veth);
}
