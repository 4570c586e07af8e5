//! From one version of the tables to the next and back: what an agent of another version left goes on.

use std::collections::BTreeMap;
use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

use aya::Pod;
use aya::maps::{HashMap, Map, MapData, MapInfo};
use proxy_common::addr::{Addr, Port, protocol};
use proxy_common::tables::{ALL, FLOWS, FLOWS_NEW, FlowKey, FlowRecord, Service, ServiceKey, Table, VERSION, previous};
use proxy_user::dataplane::ebpf::{Dataplane, Hooks, Swept, TcMode};
use proxy_user::plan::Write;
use rustix::time::{ClockId, clock_gettime};

use crate::support::{Place, add_veth};

const BPF_F_NO_PREALLOC: u32 = 1;
/// A flow's state: both ends went on.
const ESTABLISHED: u32 = 3;

fn now() -> u32 {
    clock_gettime(ClockId::Monotonic).tv_sec.cast_unsigned() as u32
}

fn key(number: u32) -> FlowKey {
    let addr = |number: u32| Addr::from(IpAddr::from(Ipv4Addr::from(0x0a00_0000 | number)));
    let (src_port, dst_port) = (Port::new(1), Port::new(80));
    FlowKey { src: addr(number), dst: addr(0), src_port, dst_port, protocol: protocol::TCP.into() }
}

fn old_record(number: u32, last_seen: u32) -> previous::FlowRecord {
    previous::FlowRecord {
        src: key(number).dst,
        dst: key(number).src,
        src_port: Port::new(2),
        dst_port: Port::new(3),
        service: 4,
        epoch: 5,
        last_seen,
        state: ESTABLISHED,
        flags: 6,
    }
}

/// Pins of the dataplane of another version.
struct Other<'a> {
    place: &'a Place,
    version: u32,
}

impl<'a> Other<'a> {
    /// Makes what this version has into another's: its links, its tables, and a Service in them.
    fn left(place: &'a Place, version: u32, veth: u32) -> Self {
        let mut dataplane = place.open(TcMode::Tcx).unwrap();
        attach(place, &mut dataplane, veth);
        let service = ServiceKey::new(Addr::UNSPECIFIED, Port::new(80), protocol::TCP);
        dataplane.apply(&[Write::PutService(service, Service::default())]).unwrap();
        drop(dataplane);
        let other = Self { place, version };
        fs::rename(place.pins(), other.directory()).unwrap();
        other
    }

    /// The version before: without the tables that came since, and with flows as they were.
    fn previous(place: &'a Place, veth: u32) -> Self {
        let other = Self::left(place, VERSION - 1, veth);
        fs::remove_file(other.map("LAYOUTS")).unwrap();
        for table in ALL.iter().filter(|table| u32::from(table.since) == VERSION) {
            fs::remove_file(other.map(table.name)).unwrap();
        }
        let flows = HashMap::<_, FlowKey, previous::FlowRecord>::create(FLOWS.max_entries, BPF_F_NO_PREALLOC).unwrap();
        flows.pin(other.map(FLOWS.name)).unwrap();
        let half_open = lru(FLOWS_NEW.max_entries);
        half_open.pin(other.map(FLOWS_NEW.name)).unwrap();
        other
    }

    fn directory(&self) -> PathBuf {
        self.place.bpffs().join(format!("v{}", self.version))
    }

    fn map(&self, name: &str) -> PathBuf {
        self.directory().join("maps").join(name)
    }

    fn put(&self, table: Table, number: u32, record: previous::FlowRecord) {
        flows(&self.map(table.name)).insert(key(number), record, 0).unwrap();
    }
}

fn lru(max_entries: u32) -> MapData {
    let definition = aya_obj::Map::new_from_params(
        aya_obj::generated::bpf_map_type::BPF_MAP_TYPE_LRU_HASH as u32,
        size_of::<FlowKey>() as u32,
        size_of::<previous::FlowRecord>() as u32,
        max_entries,
        0,
    );
    MapData::create(definition, "FLOWS_NEW", None).unwrap()
}

fn attach(place: &Place, dataplane: &mut Dataplane, veth: u32) {
    dataplane.attach_device(1, "lo", Hooks::Loopback).unwrap();
    dataplane.attach_device(veth, "pod0", Hooks::Pod).unwrap();
    dataplane.attach_sockets(place.cgroup()).unwrap();
}

fn flows<V: Pod>(pin: &Path) -> HashMap<MapData, FlowKey, V> {
    Map::from_map_data(MapData::from_pin(pin).unwrap()).unwrap().try_into().unwrap()
}

/// The flows of this version.
fn records(place: &Place, table: Table) -> BTreeMap<FlowKey, FlowRecord> {
    flows(&place.pins().join("maps").join(table.name)).iter().map(Result::unwrap).collect()
}

/// The kernel's numbers of the maps that are pinned in a directory, by name.
fn numbers(maps: &Path) -> BTreeMap<&'static str, u32> {
    ALL.iter().filter_map(|table| Some((table.name, MapInfo::from_pin(maps.join(table.name)).ok()?.id()))).collect()
}

fn versions(place: &Place) -> Vec<String> {
    let entries = fs::read_dir(place.bpffs()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    entries.filter(|name| name.starts_with('v')).collect()
}

#[test]
fn tables_of_the_same_layout_are_the_same_maps_and_links_are_switched() {
    let place = Place::new();
    let veth = add_veth("pod0");
    let old = Other::previous(&place, veth);
    let before = numbers(&old.directory().join("maps"));
    fs::rename(old.directory(), place.pins()).unwrap();
    let links: Vec<_> = place.pinned_links().iter().map(|name| place.link_and_program(name)).collect();
    fs::rename(place.pins(), old.directory()).unwrap();

    let mut dataplane = place.open(TcMode::Tcx).unwrap();
    let maps = numbers(&place.pins().join("maps"));
    for table in ALL {
        let kept = before.get(table.name).is_some_and(|number| *number == maps[table.name]);
        assert_eq!(kept, u32::from(table.since) < VERSION, "{}", table.name);
    }
    assert_eq!(dataplane.read_image().unwrap().services.len(), 1);
    attach(&place, &mut dataplane, veth);
    dataplane.remove_other_versions().unwrap();
    assert_eq!(place.pinned_links().len(), links.len());
    for (name, (link, program)) in place.pinned_links().iter().zip(links) {
        let (link_now, program_now) = place.link_and_program(name);
        assert_eq!(link_now, link, "{name}: another link");
        assert_ne!(program_now, program, "{name}: the old program");
    }
    assert_eq!(versions(&place), [format!("v{VERSION}")]);
}

#[test]
fn flows_of_the_previous_layout_are_converted_also_what_comes_until_the_programs_are_switched() {
    let place = Place::new();
    let veth = add_veth("pod0");
    let old = Other::previous(&place, veth);
    let long_ago = now().wrapping_sub(1_000);
    for number in 0..10_000 {
        old.put(FLOWS, number, old_record(number, long_ago));
    }
    old.put(FLOWS_NEW, 20_000, old_record(20_000, long_ago));
    old.put(FLOWS_NEW, 20_001, old_record(20_001, long_ago));
    let mut dataplane = place.open(TcMode::Tcx).unwrap();
    let expected: BTreeMap<_, _> =
        (0..10_000).map(|number| (key(number), FlowRecord::from(old_record(number, long_ago)))).collect();
    assert_eq!(records(&place, FLOWS), expected);
    assert_eq!(records(&place, FLOWS_NEW).len(), 2);

    old.put(FLOWS_NEW, 20_002, old_record(20_002, now()));
    old.put(FLOWS, 20_000, old_record(20_000, now()));
    attach(&place, &mut dataplane, veth);
    old.put(FLOWS, 10_000, old_record(10_000, now()));
    dataplane.remove_other_versions().unwrap();
    let established = records(&place, FLOWS);
    assert_eq!(established.len(), 10_002);
    assert!(established.contains_key(&key(10_000)) && established.contains_key(&key(20_000)));
    let half_open: Vec<_> = records(&place, FLOWS_NEW).into_keys().map(|key| key.src).collect();
    assert_eq!(half_open.len(), 2, "what is established is not half-open any more");
    assert!(half_open.contains(&key(20_001).src) && half_open.contains(&key(20_002).src));
}

#[test]
fn what_the_new_programs_saw_later_stays_and_what_the_old_ones_did_replaces() {
    let place = Place::new();
    let veth = add_veth("pod0");
    let old = Other::previous(&place, veth);
    let mut dataplane = place.open(TcMode::Tcx).unwrap();
    let mut new = flows::<FlowRecord>(&place.pins().join("maps/FLOWS"));
    let ours = |last_seen| FlowRecord { service: 9, last_seen, ..FlowRecord::default() };
    new.insert(key(1), ours(now()), 0).unwrap();
    new.insert(key(2), ours(now().wrapping_sub(100)), 0).unwrap();
    for number in [1, 2] {
        old.put(FLOWS, number, old_record(number, now() - 1));
    }
    dataplane.copy_flows().unwrap();
    let services: Vec<_> = records(&place, FLOWS).values().map(|record| record.service).collect();
    assert_eq!(services, [9, 4]);
}

#[test]
fn the_loaded_programs_read_converted_flows() {
    let place = Place::new();
    let veth = add_veth("pod0");
    let old = Other::previous(&place, veth);
    for number in 0..100 {
        old.put(FLOWS, number, old_record(number, now().wrapping_sub(100_000)));
    }
    let dataplane = place.open(TcMode::Tcx).unwrap();
    let swept = dataplane.sweeper().unwrap().sweep(|_, _, _| true).unwrap();
    assert_eq!(swept, Swept { established: 100, half_open: 0, candidates: 100, removed: 100 });
}

#[test]
fn an_upgrade_that_was_interrupted_anywhere_is_finished_by_the_next_agent() {
    let place = Place::new();
    let veth = add_veth("pod0");
    let old = Other::previous(&place, veth);
    old.put(FLOWS, 1, old_record(1, now()));
    let mut dataplane = place.open(TcMode::Tcx).unwrap();
    dataplane.attach_device(1, "lo", Hooks::Loopback).unwrap();
    drop(dataplane);
    old.put(FLOWS, 2, old_record(2, now()));
    let mut dataplane = place.open(TcMode::Tcx).unwrap();
    attach(&place, &mut dataplane, veth);
    dataplane.remove_other_versions().unwrap();
    assert_eq!(records(&place, FLOWS).len(), 2);
    assert_eq!((place.pinned_links().len(), versions(&place)), (3 + 8, vec![format!("v{VERSION}")]));
}

#[test]
fn an_older_agent_goes_on_with_what_the_newer_one_says_is_the_same() {
    let place = Place::new();
    let veth = add_veth("pod0");
    let newer = Other::left(&place, VERSION + 1, veth);
    let note = newer.map("LAYOUTS");
    let says = fs::read_link(&note).unwrap().into_os_string().into_string().unwrap();
    fs::remove_file(&note).unwrap();
    std::os::unix::fs::symlink(says.replace("FLOWS_NEW=", "FLOWS_NEW=1"), &note).unwrap();
    let before = numbers(&newer.directory().join("maps"));
    let mut dataplane = place.open(TcMode::Tcx).unwrap();
    for (name, number) in numbers(&place.pins().join("maps")) {
        assert_eq!(number == before[name], name != "FLOWS_NEW", "{name}");
    }
    attach(&place, &mut dataplane, veth);
    dataplane.remove_other_versions().unwrap();
    assert_eq!((place.pinned_links().len(), versions(&place)), (3 + 8, vec![format!("v{VERSION}")]));
}

#[test]
fn nothing_is_taken_from_a_version_that_is_no_neighbour_and_nothing_of_it_is_left() {
    for version in [0, VERSION + 2] {
        let place = Place::new();
        let veth = add_veth("pod0");
        let other = Other::left(&place, version, veth);
        let before = numbers(&other.directory().join("maps"));
        let mut dataplane = place.open(TcMode::Tcx).unwrap();
        for (name, number) in numbers(&place.pins().join("maps")) {
            assert_ne!(number, before[name], "{name} of v{version}");
        }
        attach(&place, &mut dataplane, veth);
        dataplane.remove_other_versions().unwrap();
        assert_eq!((place.pinned_links().len(), versions(&place)), (3 + 8, vec![format!("v{VERSION}")]));
    }
}

#[test]
fn socket_programs_that_are_turned_off_by_an_upgrade_go() {
    let place = Place::new();
    let veth = add_veth("pod0");
    let _old = Other::previous(&place, veth);
    let mut dataplane = place.open(TcMode::Tcx).unwrap();
    dataplane.attach_device(veth, "pod0", Hooks::Pod).unwrap();
    dataplane.detach_sockets().unwrap();
    dataplane.remove_other_versions().unwrap();
    assert_eq!(place.pinned_links(), [format!("pod0-{veth}-egress"), format!("pod0-{veth}-ingress")]);
}
