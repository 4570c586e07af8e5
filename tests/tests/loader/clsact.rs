//! Kernels without tcx: filters, which have no pins.

use proxy_user::dataplane::ebpf::{Attached, Hooks, TcMode};

use crate::support::{Place, add_veth, run};

/// Handles and program numbers of the filters at an interface's ingress.
fn filters(ifname: &str) -> Vec<(String, String)> {
    let listing = run(&format!("tc filter show dev {ifname} ingress"));
    let word_after = |line: &str, word: &str| -> Option<String> {
        line.split_whitespace().skip_while(|w| *w != word).nth(1).map(str::to_owned)
    };
    listing.lines().filter_map(|line| Some((word_after(line, "handle")?, word_after(line, "id")?))).collect()
}

#[test]
fn the_next_agent_replaces_the_program_in_its_filter() {
    let place = Place::new();
    let veth = add_veth("eth0");
    let attach = || {
        let mut dataplane = place.open(TcMode::Clsact).unwrap();
        assert_eq!(dataplane.attach_device(veth, "eth0", Hooks::Uplink).unwrap(), Attached::Yes);
    };
    attach();
    let before = filters("eth0");
    attach();
    let after = filters("eth0");
    assert_eq!((before.len(), after.len()), (1, 1), "{before:?} {after:?}");
    assert_eq!(after[0].0, before[0].0);
    assert_ne!(after[0].1, before[0].1);
}

#[test]
fn filters_go_with_clean_up_and_those_of_others_stay() {
    let place = Place::new();
    let veth = add_veth("eth0");
    run("tc qdisc add dev eth0 clsact");
    run("tc filter add dev eth0 ingress prio 7 protocol ip u32 match u32 0 0");
    let mut dataplane = place.open(TcMode::Clsact).unwrap();
    dataplane.attach_device(veth, "eth0", Hooks::Uplink).unwrap();
    drop(dataplane);
    assert_eq!(filters("eth0").len(), 1);
    let removed = place.clean_up().unwrap();
    assert!(removed.contains(&"filter at eth0 ingress".to_owned()), "{removed:?}");
    assert_eq!(filters("eth0"), []);
    assert!(run("tc filter show dev eth0 ingress").contains("u32"));
    assert_eq!(place.clean_up().unwrap(), [""; 0]);
}

#[test]
fn only_wanted_interfaces_keep_filters() {
    let place = Place::new();
    let (kept, dropped) = (add_veth("pod0"), add_veth("pod1"));
    let mut dataplane = place.open(TcMode::Clsact).unwrap();
    dataplane.attach_device(kept, "pod0", Hooks::Pod).unwrap();
    dataplane.attach_device(dropped, "pod1", Hooks::Pod).unwrap();
    drop(dataplane);
    place.open(TcMode::Clsact).unwrap().retain_devices(&[kept].into()).unwrap();
    assert_eq!((filters("pod0").len(), filters("pod1").len()), (1, 0));
}

#[test]
fn an_interface_that_comes_back_under_its_index_gets_its_filters() {
    let place = Place::new();
    let veth = add_veth("pod0");
    let mut dataplane = place.open(TcMode::Clsact).unwrap();
    dataplane.attach_device(veth, "pod0", Hooks::Pod).unwrap();
    run("ip link del pod0");
    dataplane.retain_devices(&[].into()).unwrap();
    run(&format!("ip link add pod0 index {veth} type veth peer name other"));
    assert_eq!(dataplane.attach_device(veth, "pod0", Hooks::Pod).unwrap(), Attached::Yes);
    assert_eq!(filters("pod0").len(), 1);
}

#[test]
fn an_interface_that_is_gone_is_no_error() {
    let place = Place::new();
    let veth = add_veth("pod0");
    let mut dataplane = place.open(TcMode::Clsact).unwrap();
    dataplane.attach_device(veth, "pod0", Hooks::Pod).unwrap();
    run("ip link del pod0");
    dataplane.detach_device(veth).unwrap();
    assert_eq!(dataplane.attach_device(veth, "pod0", Hooks::Pod).unwrap(), Attached::InterfaceGone);
}
