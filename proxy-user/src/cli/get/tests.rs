//! What the tables hold, as it is printed; from real pinned maps. Takes root.

use std::net::IpAddr;

use proxy_common::addr::protocol::{TCP, UDP};
use proxy_common::addr::{Addr, Family, Port};
use proxy_common::tables::{
    self, Backend, BackendKey, EndpointSet, FlowKey, FlowRecord, Service, ServiceKey, ServiceName, SocketKey,
    SocketPeer, backend_flags, flow_flags, service_flags,
};
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};

use super::*;
use crate::dataplane::ebpf::read::tests::PinnedTables;

const EVERYTHING: Filter<'static> = Filter { namespace: None, name: None };
/// Numbers of the Service ports.
const WEB: u32 = 1;
const WEB6: u32 = 2;
const DNS: u32 = 3;
const IDLE: u32 = 4;

fn addr(text: &str) -> Addr {
    text.parse::<IpAddr>().unwrap().into()
}

fn name(namespace: &str, name: &str, port: &str, protocol: u8, family: u32) -> ServiceName {
    let padded = |text: &str| {
        let mut bytes = [0; 64];
        bytes[..text.len()].copy_from_slice(text.as_bytes());
        bytes
    };
    ServiceName {
        namespace: padded(namespace),
        name: padded(name),
        port: padded(port),
        protocol: protocol.into(),
        family,
    }
}

fn backend(ip: &str, port: u16, flags: u16) -> Backend {
    Backend { addr: addr(ip), port: Port::new(port), flags }
}

fn frontend(ip: &str, port: u16, protocol: u8) -> ServiceKey {
    ServiceKey::new(addr(ip), Port::new(port), protocol)
}

/// A dual-stack Service with a node port under a Local policy, one of UDP, and one without endpoints.
fn tables() -> PinnedTables {
    let pinned = PinnedTables::empty();
    pinned.put(
        tables::SERVICE_NAMES,
        [
            (WEB, name("default", "web", "http", TCP, 4)),
            (WEB6, name("default", "web", "http", TCP, 6)),
            (DNS, name("kube-system", "dns", "", UDP, 4)),
            (IDLE, name("default", "idle", "", TCP, 4)),
        ],
    );
    let node_port = service_flags::EXTERNAL | service_flags::NODE_PORT | service_flags::LOCAL_ONLY;
    pinned.put(
        tables::SERVICES,
        [
            (
                frontend("10.96.0.10", 80, TCP),
                Service { id: WEB, cluster: 4, local: 1, flags: 0, ..Service::default() },
            ),
            (
                ServiceKey::new(Family::V4.any(), Port::new(30080), TCP),
                Service { id: WEB, cluster: 4, local: 1, flags: node_port, ..Service::default() },
            ),
            (
                frontend("fd00:96::a", 80, TCP),
                Service { id: WEB6, cluster: 1, local: 0, flags: 0, ..Service::default() },
            ),
            (
                frontend("10.96.0.53", 53, UDP),
                Service { id: DNS, cluster: 1, local: 0, flags: 0, ..Service::default() },
            ),
            (
                frontend("10.96.0.99", 80, TCP),
                Service { id: IDLE, cluster: 0, local: 0, flags: 0, ..Service::default() },
            ),
        ],
    );
    let slot = |id, set, slot| BackendKey::new(id, set, slot);
    pinned.put(
        tables::BACKENDS,
        [
            (slot(WEB, EndpointSet::Cluster, 0), backend("10.0.1.2", 8080, 0)),
            (slot(WEB, EndpointSet::Cluster, 1), backend("10.0.0.2", 8080, backend_flags::LOCAL)),
            (slot(WEB, EndpointSet::Cluster, 2), backend("10.0.1.3", 8080, 0)),
            (slot(WEB, EndpointSet::Cluster, 3), backend("10.0.1.4", 8080, 0)),
            (slot(WEB, EndpointSet::Local, 0), backend("10.0.0.2", 8080, backend_flags::LOCAL)),
            (slot(WEB6, EndpointSet::Cluster, 0), backend("fd00:1::2", 8080, 0)),
            (slot(DNS, EndpointSet::Cluster, 0), backend("10.0.1.53", 5353, 0)),
        ],
    );
    pinned
}

fn table<R: Row>(rows: &[R], format: ListFormat) -> String {
    output::list(rows, format).unwrap()
}

fn json<R: Row>(rows: &[R]) -> Value {
    serde_json::from_str(&output::list(rows, ListFormat::Json).unwrap()).unwrap()
}

#[test]
fn services_are_listed_with_their_frontends_and_endpoint_counts() {
    let pinned = tables();
    let image = Pinned::open(pinned.bpffs()).unwrap().image().unwrap();
    let rows = services::rows(&image, EVERYTHING);
    let expected = "\
NAMESPACE     NAME   TYPE        PORT      PROTOCOL   FRONTENDS               ENDPOINTS
default       idle   ClusterIP   <unset>   TCP        10.96.0.99:80           0 (0 local)
default       web    NodePort    http      TCP        10.96.0.10:80,*:30080   4 (1 local)
default       web    ClusterIP   http      TCP        [fd00:96::a]:80         1 (0 local)
kube-system   dns    ClusterIP   <unset>   UDP        10.96.0.53:53           1 (0 local)
";
    assert_eq!(table(&rows, ListFormat::Table), expected);
    let wide = table(&rows, ListFormat::Wide);
    let web = wide.lines().nth(2).unwrap();
    assert!(web.ends_with("4 (1 local)   IPv4     Cluster,Local    1"), "{web}");
}

#[test]
fn services_in_json_keep_their_field_names() {
    let pinned = tables();
    let image = Pinned::open(pinned.bpffs()).unwrap().image().unwrap();
    let rows = services::rows(&image, Filter { namespace: Some("default"), name: Some("web") });
    let list = json(&rows);
    assert_eq!((&list["apiVersion"], &list["kind"]), (&json!("sluice.dev/v1alpha1"), &json!("ServiceList")));
    let expected = json!({
        "namespace": "default", "name": "web", "portName": "http", "protocol": "TCP", "family": "IPv4", "id": 1,
        "frontends": [
            { "type": "ClusterIP", "address": "10.96.0.10:80", "trafficPolicy": "Cluster" },
            { "type": "NodePort", "address": "*:30080", "trafficPolicy": "Local" },
        ],
        "endpoints": { "cluster": 4, "local": 1 },
    });
    assert_eq!(list["items"][0], expected);
    assert_eq!(list["items"].as_array().unwrap().len(), 2);
}

#[test]
fn backends_are_listed_slot_by_slot_of_each_set() {
    let pinned = tables();
    let image = Pinned::open(pinned.bpffs()).unwrap().image().unwrap();
    let rows = backends::rows(&image, Filter { name: Some("web"), ..EVERYTHING });
    let expected = "\
NAMESPACE   NAME   PORT   PROTOCOL   SET       SLOT   BACKEND            LOCAL
default     web    http   TCP        Cluster   0      10.0.1.2:8080      false
default     web    http   TCP        Cluster   1      10.0.0.2:8080      true
default     web    http   TCP        Cluster   2      10.0.1.3:8080      false
default     web    http   TCP        Cluster   3      10.0.1.4:8080      false
default     web    http   TCP        Local     0      10.0.0.2:8080      true
default     web    http   TCP        Cluster   0      [fd00:1::2]:8080   false
";
    assert_eq!(table(&rows, ListFormat::Table), expected);
}

#[test]
fn endpoints_are_listed_as_kubectl_does() {
    let pinned = tables();
    let image = Pinned::open(pinned.bpffs()).unwrap().image().unwrap();
    let rows = endpoints::rows(&image, EVERYTHING);
    let expected = "\
NAMESPACE     NAME   ENDPOINTS
default       idle   <none>
default       web    10.0.0.2:8080,10.0.1.2:8080,10.0.1.3:8080 + 2 more...
kube-system   dns    10.0.1.53:5353
";
    assert_eq!(table(&rows, ListFormat::Table), expected);
    let web = &json(&rows)["items"][1]["endpoints"];
    let local = json!({ "portName": "http", "protocol": "TCP", "address": "10.0.0.2:8080", "local": true });
    assert_eq!((&web[0], web.as_array().unwrap().len()), (&local, 5));
}

#[test]
fn nothing_of_another_namespace_is_listed() {
    let pinned = tables();
    let image = Pinned::open(pinned.bpffs()).unwrap().image().unwrap();
    let filter = Filter { namespace: Some("kube-system"), name: None };
    assert_eq!(services::rows(&image, filter).len(), 1);
    assert!(services::rows(&image, Filter { name: Some("web"), ..filter }).is_empty());
}

/// A flow from an outside client through the node port to a remote backend, its source translated.
fn node_port_flow(now: u32) -> (FlowKey, FlowRecord) {
    let key = FlowKey {
        src: addr("192.0.2.7"),
        dst: addr("172.18.0.2"),
        src_port: Port::new(40000),
        dst_port: Port::new(30080),
        protocol: TCP.into(),
    };
    let record = FlowRecord {
        src: addr("172.18.0.2"),
        dst: addr("10.0.1.2"),
        src_port: Port::new(50001),
        dst_port: Port::new(8080),
        service: WEB,
        epoch: 0,
        last_seen: now,
        state: 3,
        flags: 0,
    };
    (key, record)
}

/// The record of the other direction, as the kernel programs write it.
fn reply((key, record): (FlowKey, FlowRecord)) -> (FlowKey, FlowRecord) {
    let FlowKey { src, dst, src_port, dst_port, protocol } = key.reversed();
    let flags = record.flags | flow_flags::REPLY;
    (record.reply_key(protocol), FlowRecord { src, dst, src_port, dst_port, flags, ..record })
}

fn uptime() -> u32 {
    clock_gettime(ClockId::Monotonic).tv_sec.try_into().unwrap()
}

#[test]
fn both_records_of_a_flow_make_one_row() {
    let pinned = tables();
    let flow = node_port_flow(uptime());
    pinned.put(tables::FLOWS, [flow, reply(flow)]);
    let rows = flows::read(&Pinned::open(pinned.bpffs()).unwrap(), EVERYTHING).unwrap();
    let [item] = json(&rows)["items"].as_array().unwrap().clone().try_into().unwrap();
    for (field, value) in [
        ("translatedAt", "packet"),
        ("client", "192.0.2.7:40000"),
        ("frontend", "172.18.0.2:30080"),
        ("backend", "10.0.1.2:8080"),
        ("snat", "172.18.0.2:50001"),
        ("state", "Established"),
        ("serviceName", "web"),
    ] {
        assert_eq!(item[field], json!(value), "{field}");
    }
}

#[test]
fn either_record_of_a_flow_tells_the_whole_flow() {
    let of = |record| {
        let pinned = tables();
        pinned.put(tables::FLOWS_NEW, [record]);
        let mut list = json(&flows::read(&Pinned::open(pinned.bpffs()).unwrap(), EVERYTHING).unwrap());
        // The two are read at two times.
        list["items"][0].as_object_mut().unwrap().remove("idleSeconds").unwrap();
        list
    };
    let flow = node_port_flow(uptime());
    assert_eq!(of(flow), of(reply(flow)));
}

#[test]
fn a_socket_in_both_tables_is_listed_once_and_flows_are_aligned() {
    let pinned = tables();
    let now = uptime();
    let (service, pod) = ((addr("10.96.0.53"), Port::new(53)), (addr("10.0.1.53"), Port::new(5353)));
    let peer = |(addr, port), last_seen| SocketPeer::new(addr, port, DNS, UDP, last_seen);
    // Last seen in the future, so that the time the test takes is not seen.
    pinned.put(tables::SOCK_BACKEND, [(SocketKey::new(99, service.0, service.1), peer(pod, now + 1000))]);
    pinned.put(tables::SOCK_ORIGIN, [(SocketKey::new(99, pod.0, pod.1), peer(service, 0))]);
    pinned.put(tables::FLOWS, [node_port_flow(now + 1000)]);
    let rows = flows::read(&Pinned::open(pinned.bpffs()).unwrap(), EVERYTHING).unwrap();
    let text = table(&rows, ListFormat::Wide);
    let expected = "\
PROTOCOL   CLIENT            SERVICE            FRONTEND           BACKEND          STATE         IDLE   SNAT               TRANSLATED-AT   FLAGS
TCP        192.0.2.7:40000   default/web:http   172.18.0.2:30080   10.0.1.2:8080    Established   0s     172.18.0.2:50001   packet          <none>
UDP        socket:99         kube-system/dns    10.96.0.53:53      10.0.1.53:5353   <none>        0s     <none>             socket          <none>
";
    assert_eq!(text, expected);
    let of_web = flows::read(&Pinned::open(pinned.bpffs()).unwrap(), Filter { name: Some("web"), ..EVERYTHING });
    assert_eq!(of_web.unwrap().len(), 1);
}

#[test]
fn a_flow_of_a_service_that_is_gone_is_still_listed() {
    let pinned = PinnedTables::empty();
    pinned.put(tables::FLOWS, [node_port_flow(uptime())]);
    let rows = flows::read(&Pinned::open(pinned.bpffs()).unwrap(), EVERYTHING).unwrap();
    assert_eq!(json(&rows)["items"][0]["serviceName"], json!("<unknown>"));
}
