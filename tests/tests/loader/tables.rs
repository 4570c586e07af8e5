//! Writes, and the sweep of flows.

use std::net::{IpAddr, Ipv4Addr};

use aya::maps::{Array, HashMap, Map, MapData};
use proxy_common::addr::{Addr, Port, protocol};
use proxy_common::tables::{
    self, Address, Backend, BackendKey, Device, EndpointSet, FlowKey, FlowRecord, Member, MemberKey, Service,
    ServiceKey, ServiceName, SourceRange,
};
use proxy_user::dataplane::ebpf::{Swept, TcMode, WriteError};
use proxy_user::plan::{Image, SourcePrefix, Write};
use rustix::time::{ClockId, clock_gettime};

use crate::support::Place;

fn addr(number: u32) -> Addr {
    IpAddr::from(Ipv4Addr::from(0x0a00_0000 | number)).into()
}

#[test]
fn what_is_written_is_read_by_the_next_agent() {
    let place = Place::new();
    let service =
        (ServiceKey::new(addr(1), Port::new(80), protocol::TCP), Service { id: 7, cluster: 1, ..Default::default() });
    let backend =
        (BackendKey::new(7, EndpointSet::Cluster, 0), Backend { addr: addr(2), port: Port::new(8080), flags: 1 });
    let member = (MemberKey::new(7, addr(2), Port::new(8080)), Member { flags: 1 });
    let address = (addr(1), Address { flags: 4 });
    // The families differ in how many bits stand before the address, and a prefix may end anywhere.
    let range = |ip: IpAddr, bits| SourcePrefix { range: SourceRange { service: 7, addr: ip.into() }, bits };
    let v4 = range(Ipv4Addr::new(198, 51, 100, 0).into(), SourceRange::BEFORE_V4 + 28);
    let v6 = range(IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0]), SourceRange::BEFORE_V6 + 33);
    let name = ServiceName { namespace: [b'a'; 64], name: [b'b'; 64], port: [0; 64], protocol: 6, family: 4 };
    let mut dataplane = place.open(TcMode::Tcx).unwrap();
    let puts = [
        Write::PutName(7, Box::new(name)),
        Write::PutMember(member.0, member.1),
        Write::PutBackend(backend.0, backend.1),
        Write::PutSourceRange(v4),
        Write::PutSourceRange(v6),
        Write::PutService(service.0, service.1),
        Write::PutAddress(address.0, address.1),
    ];
    dataplane.apply(&puts).unwrap();
    assert_eq!(dataplane.writes(), puts.len() as u64);
    drop(dataplane);
    let mut dataplane = place.open(TcMode::Tcx).unwrap();
    let image = Image {
        services: [service].into(),
        backends: [backend].into(),
        members: [member].into(),
        names: [(7, name)].into(),
        addresses: [address].into(),
        source_ranges: [v4, v6].into(),
    };
    assert_eq!(dataplane.read_image().unwrap(), image);
    let deletes = [
        Write::DeleteService(service.0),
        Write::DeleteBackend(backend.0),
        Write::DeleteAddress(address.0),
        Write::DeleteSourceRange(v4),
        Write::DeleteSourceRange(v6),
        Write::DeleteMember(member.0),
        Write::DeleteName(7),
    ];
    dataplane.apply(&deletes).unwrap();
    dataplane.apply(&deletes).expect("what is gone already");
    assert_eq!(dataplane.read_image().unwrap(), Image::default());
}

#[test]
fn more_writes_of_a_kind_than_go_at_once_are_all_read_by_the_next_agent() {
    let place = Place::new();
    let mut dataplane = place.open(TcMode::Tcx).unwrap();
    let key = |number| ServiceKey::new(addr(number), Port::new(80), protocol::TCP);
    let service = |number| Service { id: number, cluster: 1, ..Default::default() };
    let member = |number| MemberKey::new(number, addr(number), Port::new(8080));
    let slot = |number| BackendKey::new(number, EndpointSet::Cluster, 0);
    let backend = |number| Backend { addr: addr(number), port: Port::new(8080), flags: 0 };
    let numbers = || 1..=10_000;
    let members = numbers().map(|number| Write::PutMember(member(number), Member::default()));
    let backends = numbers().map(|number| Write::PutBackend(slot(number), backend(number)));
    let services = numbers().map(|number| Write::PutService(key(number), service(number)));
    let writes: Vec<_> = members.chain(backends).chain(services).collect();
    dataplane.apply(&writes).unwrap();
    assert_eq!(dataplane.writes(), 30_000);
    drop(dataplane);
    let image = Image {
        services: numbers().map(|number| (key(number), service(number))).collect(),
        backends: numbers().map(|number| (slot(number), backend(number))).collect(),
        members: numbers().map(|number| (member(number), Member::default())).collect(),
        ..Image::default()
    };
    assert_eq!(place.open(TcMode::Tcx).unwrap().read_image().unwrap(), image);
}

#[test]
fn the_epoch_grows_from_agent_to_agent() {
    let place = Place::new();
    for _ in 0..2 {
        place.open(TcMode::Tcx).unwrap().apply(&[Write::AdvanceEpoch, Write::AdvanceEpoch]).unwrap();
    }
    let map =
        Map::from_map_data(MapData::from_pin(place.bpffs().join(format!("v{}/maps/EPOCH", tables::VERSION))).unwrap())
            .unwrap();
    assert_eq!(Array::<_, u32>::try_from(map).unwrap().get(&0, 0).unwrap(), 4);
}

#[test]
fn a_full_table_is_named() {
    let place = Place::new();
    let mut dataplane = place.open(TcMode::Tcx).unwrap();
    for number in 0..8_192 {
        dataplane.set_device(number, Device::default()).unwrap();
    }
    let error = dataplane.set_device(8_192, Device::default()).unwrap_err();
    assert!(matches!(error, WriteError::Full { .. }), "{error}");
    assert_eq!(error.to_string(), "table DEVICES is full at 8192 entries");
    dataplane.remove_device(17).unwrap();
    dataplane.set_device(8_192, Device::default()).unwrap();
    assert_eq!(dataplane.devices().unwrap().len(), 8_192);
}

#[test]
fn the_sweep_removes_what_is_over_and_asks_the_kernel_last() {
    const IDLE: u32 = 100;
    const ESTABLISHED: u32 = 3;
    let place = Place::new();
    let dataplane = place.open(TcMode::Tcx).unwrap();
    let now = clock_gettime(ClockId::Monotonic).tv_sec.cast_unsigned() as u32;
    let map = Map::from_map_data(MapData::from_pin(place.pins().join("maps/FLOWS")).unwrap()).unwrap();
    let mut flows = HashMap::<_, FlowKey, FlowRecord>::try_from(map).unwrap();
    let key = |number: u32| FlowKey {
        src: addr(number),
        dst: addr(0),
        src_port: Port::new(1),
        dst_port: Port::new(53),
        protocol: u32::from(protocol::UDP),
    };
    // Each record answers to no other: its reply's key is none of the keys.
    let record =
        |number, last_seen, state| FlowRecord { src: addr(1 << 20 | number), last_seen, state, ..Default::default() };
    for number in 0..200 {
        flows.insert(key(number), record(number, now - IDLE, 1), 0).unwrap();
    }
    for number in 200..300 {
        flows.insert(key(number), record(number, now, ESTABLISHED), 0).unwrap();
    }
    let sweeper = dataplane.sweeper().unwrap();
    let over = |_: &FlowKey, record: &FlowRecord, now: u32| now - record.last_seen >= IDLE;
    assert_eq!(sweeper.sweep(over).unwrap(), Swept { established: 300, half_open: 0, candidates: 200, removed: 200 });
    let everything = |_: &FlowKey, _: &FlowRecord, _| true;
    assert_eq!(
        sweeper.sweep(everything).unwrap(),
        Swept { established: 100, half_open: 0, candidates: 100, removed: 0 }
    );
}
