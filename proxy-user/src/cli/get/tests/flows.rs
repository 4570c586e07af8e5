//! Flows.

use proxy_common::addr::Port;
use proxy_common::addr::protocol::{SCTP, TCP, UDP};
use proxy_common::tables::{self, FlowKey, FlowRecord, SocketKey, SocketPeer, flow_flags};
use serde_json::json;

use super::*;
use crate::cli::clock::seconds as uptime;
use crate::cli::get::flows;

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
        policy: 0,
    };
    (key, record)
}

/// The record of the other direction, as the kernel programs write it.
fn reply((key, record): (FlowKey, FlowRecord)) -> (FlowKey, FlowRecord) {
    let FlowKey { src, dst, src_port, dst_port, protocol } = key.reversed();
    let flags = record.flags | flow_flags::REPLY;
    (record.reply_key(protocol), FlowRecord { src, dst, src_port, dst_port, flags, ..record })
}

#[test]
fn both_records_of_a_flow_make_one_row() {
    let pinned = tables();
    let flow = node_port_flow(uptime());
    pinned.put(tables::FLOWS, [flow, reply(flow)]);
    let rows = flows::read(&Pinned::open(pinned.bpffs()).unwrap(), EVERYTHING, usize::MAX).unwrap();
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
        let mut list = json(&flows::read(&Pinned::open(pinned.bpffs()).unwrap(), EVERYTHING, usize::MAX).unwrap());
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
    let rows = flows::read(&Pinned::open(pinned.bpffs()).unwrap(), EVERYTHING, usize::MAX).unwrap();
    let text = table(&rows, ListFormat::Wide);
    let expected = "\
PROTOCOL   CLIENT            SERVICE            FRONTEND           BACKEND          STATE         IDLE   SNAT               TRANSLATED-AT   FLAGS
TCP        192.0.2.7:40000   default/web:http   172.18.0.2:30080   10.0.1.2:8080    Established   0s     172.18.0.2:50001   packet          <none>
UDP        socket:99         kube-system/dns    10.96.0.53:53      10.0.1.53:5353   <none>        0s     <none>             socket          <none>
";
    assert_eq!(text, expected);
    let of_web =
        flows::read(&Pinned::open(pinned.bpffs()).unwrap(), Filter { name: Some("web"), ..EVERYTHING }, usize::MAX);
    assert_eq!(of_web.unwrap().len(), 1);
}

#[test]
fn a_flow_of_a_service_that_is_gone_is_still_listed() {
    let pinned = PinnedTables::empty();
    pinned.put(tables::FLOWS, [node_port_flow(uptime())]);
    let rows = flows::read(&Pinned::open(pinned.bpffs()).unwrap(), EVERYTHING, usize::MAX).unwrap();
    assert_eq!(json(&rows)["items"][0]["serviceName"], json!("<unknown>"));
}

#[test]
fn a_flow_past_any_service_names_none_and_is_no_service_s() {
    let pinned = tables();
    let (key, record) = node_port_flow(uptime());
    let sctp = FlowKey { protocol: SCTP.into(), ..key };
    pinned.put(tables::FLOWS, [(key, FlowRecord { service: 0, ..record }), (sctp, record)]);
    let read = Pinned::open(pinned.bpffs()).unwrap();
    let text = table(&flows::read(&read, EVERYTHING, usize::MAX).unwrap(), ListFormat::Table);
    let starts: Vec<String> =
        text.lines().skip(1).map(|line| line.split_whitespace().take(3).collect::<Vec<_>>().join(" ")).collect();
    assert_eq!(starts, ["SCTP 192.0.2.7:40000 default/web:http", "TCP 192.0.2.7:40000 <none>"]);
    let in_default = Filter { namespace: Some("default"), name: None };
    assert_eq!(flows::read(&read, in_default, usize::MAX).unwrap().len(), 1);
}
