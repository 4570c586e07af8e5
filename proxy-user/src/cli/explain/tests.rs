//! What is told of connections, from real pinned maps. Takes root.

use std::net::IpAddr;

use clap::Parser as _;
use jiff::Timestamp;
use proxy_common::addr::protocol::TCP;
use proxy_common::addr::{Addr, Family, Port};
use proxy_common::nat::{Routes, Sockets, TcpEnd};
use proxy_common::tables::{
    self, Address, Affinity, AffinityKey, BackendKey, EndpointSet, FlowKey, FlowRecord, Member, MemberKey, Service,
    ServiceKey, Topology, address_flags, backend_flags, member_flags, service_flags,
};

use super::explanation::Verdict;
use super::*;
use crate::cli::get::tests::{addr, backend, frontend, name, range};
use crate::cli::{Cli, Command};
use crate::config::{DataplaneMode, PolicyDeny, SocketLb};
use crate::dataplane::ebpf::read::tests::PinnedTables;
use crate::node::Hop;
use crate::status::{DeviceStatus, PodStatus, PolicyStatus};

mod policy;

/// Numbers of the Service ports: `web` has two endpoints, one here; `idle` has none, `far` none here.
const WEB: u32 = 1;
const IDLE: u32 = 2;
const FAR: u32 = 3;
/// Of `web`, here and elsewhere.
const NEAR_ENDPOINT: &str = "10.244.1.10";
const FAR_ENDPOINT: &str = "10.244.2.10";
const NODE: &str = "172.18.0.2";
const CLIENT_POD: &str = "10.244.1.20";
const OUTSIDE: &str = "192.0.2.7";

/// The routes of a node whose pods are behind a bridge.
struct Bridged;

impl routes::Ways for Bridged {
    fn to(&self, ip: IpAddr) -> Option<Hop> {
        let source = |text: &str| Some(text.parse().unwrap());
        let text = ip.to_string();
        if text.starts_with("10.244.1.") {
            return Some(Hop { ifindex: 3, is_local: false, source: source("10.244.1.1") });
        }
        (!text.starts_with("240.")).then_some(Hop { ifindex: 2, is_local: false, source: source(NODE) })
    }
}

impl Routes for Bridged {
    fn source_towards(&self, _packet: &FlowKey) -> Option<Addr> {
        Some(addr(NODE))
    }
    fn has_socket(&self, _packet: &FlowKey, _sockets: Sockets) -> bool {
        false
    }
    fn tcp_end(&self, _ifindex: u32, _segment: &FlowKey) -> TcpEnd {
        TcpEnd::None
    }
}

fn pod(name: &str, ips: &[&str]) -> PodStatus {
    let ips = ips.iter().map(|ip| ip.parse().unwrap()).collect();
    PodStatus { namespace: "default".into(), name: name.into(), ips }
}

fn agent(socket_lb: SocketLb) -> AgentStatus {
    AgentStatus {
        version: "0.1.0".into(),
        pid: 1,
        started_at: Timestamp::UNIX_EPOCH,
        node_name: "node1".into(),
        configuration: serde_json::Value::Null,
        mode: DataplaneMode::Ebpf,
        mode_reason: None,
        socket_lb,
        policy_deny: PolicyDeny::Drop,
        objects: "manifests in /m".into(),
        api_server: None,
        not_in_force: Vec::new(),
        taking_over: 0,
        ignored: Vec::new(),
        cgroup: None,
        ready: true,
        last_synced_at: None,
        devices: vec![DeviceStatus { name: "eth0".into(), ifindex: 2, role: "Uplink".into(), why: "a NIC".into() }],
        other_devices: vec![],
        pods: vec![pod("client-1", &[CLIENT_POD, "fd00:244:1::20"]), pod("web-1", &[NEAR_ENDPOINT])],
        policy: PolicyStatus::default(),
        errors: vec![],
    }
}

/// The tables of node1; `web` has these flags, and session affinity for so many seconds.
fn node(web_flags: u32, affinity_timeout: u32) -> PinnedTables {
    let pinned = PinnedTables::empty();
    pinned.put(
        tables::SERVICE_NAMES,
        [
            (WEB, name("default", "web", "http", TCP, 4)),
            (IDLE, name("default", "idle", "", TCP, 4)),
            (FAR, name("default", "far", "", TCP, 4)),
        ],
    );
    let node_port = |port| ServiceKey::new(Family::V4.any(), Port::new(port), TCP);
    let external = service_flags::EXTERNAL;
    let web = Service { id: WEB, cluster: 2, local: 1, flags: web_flags, affinity_timeout, affinity_generation: 1 };
    let far = Service { id: FAR, cluster: 1, ..Service::default() };
    let local_node_port = external | service_flags::NODE_PORT | service_flags::LOCAL_ONLY;
    pinned.put(
        tables::SERVICES,
        [
            (frontend("10.96.0.10", 80, TCP), web),
            (node_port(30080), Service { flags: web_flags | external | service_flags::NODE_PORT, ..web }),
            (node_port(30081), Service { flags: web_flags | local_node_port, ..web }),
            (
                frontend("203.0.113.1", 80, TCP),
                Service { flags: web_flags | external | service_flags::SOURCE_RANGES, ..web },
            ),
            (frontend("10.96.0.20", 80, TCP), Service { id: IDLE, ..Service::default() }),
            (frontend("10.96.0.30", 80, TCP), far),
            (node_port(30083), Service { flags: local_node_port, ..far }),
        ],
    );
    let slot = BackendKey::new;
    let local = backend_flags::LOCAL;
    pinned.put(
        tables::BACKENDS,
        [
            (slot(WEB, EndpointSet::Cluster, 0), backend(NEAR_ENDPOINT, 8080, local)),
            (slot(WEB, EndpointSet::Cluster, 1), backend(FAR_ENDPOINT, 8080, 0)),
            (slot(WEB, EndpointSet::Local, 0), backend(NEAR_ENDPOINT, 8080, local)),
            (slot(FAR, EndpointSet::Cluster, 0), backend(FAR_ENDPOINT, 8080, 0)),
        ],
    );
    let member = |ip, flags| (MemberKey::new(WEB, addr(ip), Port::new(8080)), Member { flags });
    let near = member_flags::CLUSTER | member_flags::LOCAL | member_flags::ON_NODE;
    pinned.put(tables::MEMBERS, [member(NEAR_ENDPOINT, near), member(FAR_ENDPOINT, member_flags::CLUSTER)]);
    let is = |ip, flags| (addr(ip), Address { flags });
    let cluster_ip = address_flags::FRONTEND | address_flags::CLUSTER_IP;
    let of_node = address_flags::NODE | address_flags::NODE_PORT;
    pinned.put(
        tables::ADDRESSES,
        [
            is("10.96.0.10", cluster_ip),
            is("10.96.0.20", cluster_ip),
            is("10.96.0.30", cluster_ip),
            is("203.0.113.1", address_flags::FRONTEND),
            is(NODE, of_node),
            is("127.0.0.1", of_node),
        ],
    );
    pinned.put_source_ranges([range(WEB, "198.51.100.0", 24)]);
    pinned
}

fn told_by(pinned: &PinnedTables, socket_lb: SocketLb, arguments: &str) -> anyhow::Result<Explanation> {
    told_of(pinned, &agent(socket_lb), arguments)
}

fn told_of(pinned: &PinnedTables, agent: &AgentStatus, arguments: &str) -> anyhow::Result<Explanation> {
    let command_line = ["sluice", "explain"].into_iter().chain(arguments.split_whitespace());
    let Command::Explain(args) = Cli::try_parse_from(command_line).unwrap().command else { panic!("{arguments}") };
    explain(&args, &Pinned::open(pinned.bpffs()).unwrap(), Some(agent), &Bridged)
}

fn told(arguments: &str) -> Explanation {
    told_by(&node(0, 0), SocketLb::Off, arguments).unwrap()
}

fn error(arguments: &str) -> String {
    told_by(&node(0, 0), SocketLb::Off, arguments).unwrap_err().to_string()
}

/// Address, percent and source of each endpoint.
fn endpoints(it: &Explanation) -> Vec<(&str, f64, Option<&str>)> {
    it.endpoints.iter().map(|it| (it.address.as_str(), it.percent, it.source.as_deref())).collect()
}

const NEAR: &str = "10.244.1.10:8080";
const AFAR: &str = "10.244.2.10:8080";

#[test]
fn a_pod_reaches_every_endpoint_of_a_cluster_ip_under_its_own_address() {
    for to in ["--to web --port http", "--to default/web --port 80", "--to 10.96.0.10 -p 80 --protocol tcp"] {
        let it = told(&format!("--from client-1 {to}"));
        assert_eq!(
            (it.verdict, it.client.place, it.client.pod.as_deref()),
            (Verdict::Translated, "Pod", Some("default/client-1"))
        );
        let service = it.service.as_ref().unwrap();
        assert_eq!((service.name.name.as_str(), service.frontend.as_str()), ("web", "10.96.0.10:80"));
        assert_eq!(
            (service.endpoint_set, service.because.as_slice()),
            ("Cluster", &["internalTrafficPolicy is Cluster".to_owned()][..])
        );
        assert_eq!(endpoints(&it), [(NEAR, 50.0, Some(CLIENT_POD)), (AFAR, 50.0, Some(CLIENT_POD))]);
        assert_eq!(it.translation.as_ref().map(|it| (it.at, it.hook)), Some(("packet", "from_pod")));
    }
}

#[test]
fn a_client_outside_is_kept_by_an_endpoint_here_and_masqueraded_to_one_elsewhere() {
    let it = told(&format!("--from {OUTSIDE} --to {NODE} --port 30080"));
    assert_eq!((it.client.place, it.client.because.as_str()), ("Outside", "its route leaves by eth0, an uplink"));
    assert_eq!(endpoints(&it), [(NEAR, 50.0, Some(OUTSIDE)), (AFAR, 50.0, Some(NODE))]);
    assert!(it.endpoints[1].because.contains("another node"), "{it:?}");
    assert_eq!(it.service.unwrap().frontend, "*:30080");
}

#[test]
fn a_local_policy_restricts_a_client_outside_and_not_the_node_or_its_pods() {
    let outside = told(&format!("--from {OUTSIDE} --to {NODE} --port 30081"));
    assert_eq!(endpoints(&outside), [(NEAR, 100.0, Some(OUTSIDE))]);
    assert_eq!(outside.service.unwrap().because, ["externalTrafficPolicy is Local"]);
    for (from, who) in [("client-1", "a pod of this node"), (NODE, "the node itself")] {
        let inside = told(&format!("--from {from} --to {NODE} --port 30081"));
        assert_eq!(inside.endpoints.len(), 2, "{from}");
        let service = inside.service.unwrap();
        assert_eq!(service.endpoint_set, "Cluster");
        assert!(service.because[1].starts_with(who), "{:?}", service.because);
    }
}

#[test]
fn without_endpoints_it_is_refused_and_without_local_ones_dropped() {
    let it = told("--from client-1 --to idle --port 80");
    assert_eq!((it.verdict, it.reason, it.endpoints.len()), (Verdict::Refused, Some("NoEndpoints"), 0));
    assert!(it.message.contains("no endpoint") && it.message.contains("service-name=idle"), "{}", it.message);
    let it = told(&format!("--from {OUTSIDE} --to {NODE} --port 30083"));
    assert_eq!((it.verdict, it.reason), (Verdict::Dropped, Some("NoLocalEndpoints")));
    assert!(it.message.contains("set externalTrafficPolicy to Cluster"), "{}", it.message);
}

#[test]
fn a_client_beyond_the_source_ranges_is_dropped_and_told_which_there_are() {
    let it = told(&format!("--from {OUTSIDE} --to 203.0.113.1 --port 80"));
    assert_eq!((it.verdict, it.reason), (Verdict::Dropped, Some("SourceRange")));
    assert_eq!(it.message, "the client is not in the Service's loadBalancerSourceRanges: [198.51.100.0/24]");
    let it = told("--from 198.51.100.7 --to 203.0.113.1 --port 80");
    assert_eq!((it.verdict, it.endpoints.len()), (Verdict::Translated, 2));
    assert!(it.service.unwrap().source_ranges.unwrap().has_client);
}

#[test]
fn what_is_no_service_s_is_left_alone_and_a_cluster_ip_s_other_port_refused() {
    let it = told("--from client-1 --to 10.244.2.99 --port 80");
    assert_eq!((it.verdict, it.service), (Verdict::NotTranslated, None));
    assert_eq!(it.message, "not a Service address: left to the node's routes");
    let it = told("--from client-1 --to web --port 81");
    assert_eq!((it.verdict, it.reason), (Verdict::Refused, Some("NoSuchPort")));
    assert!(it.message.ends_with("it has 80/TCP"), "{}", it.message);
    let it = told(&format!("--from client-1 --to {NODE} --port 22"));
    assert!(it.message.starts_with("an address of this node, and no node port"), "{}", it.message);
    let it = told("--from client-1 --to 203.0.113.1 --port 81");
    assert!(it.message.starts_with("no Service has this port at this address, which has 80/TCP"), "{}", it.message);
    let it = told("--from client-1 --to 127.0.0.1 --port 30080");
    assert_eq!(it.message, "a loopback address is the client's own: left to it");
    assert_eq!(told("--from 127.0.0.1 --to 127.0.0.1 --port 30080").verdict, Verdict::Translated);
}

#[test]
fn affinity_leaves_the_one_endpoint_that_the_client_is_bound_to() {
    let pinned = node(0, 10_800);
    let bind = |endpoint: &str, generation, last_used| {
        let key = AffinityKey { client: addr(CLIENT_POD), service: WEB };
        pinned.put(tables::AFFINITY, [(key, Affinity::new(addr(endpoint), Port::new(8080), generation, last_used))]);
    };
    let told = || told_by(&pinned, SocketLb::On, "--from client-1 --to web --port 80").unwrap();
    let affinity = |it: Explanation| it.service.unwrap().affinity.unwrap();
    let it = told();
    assert_eq!(it.translation.as_ref().unwrap().at, "packet", "a socket has no address yet");
    assert_eq!((it.endpoints.len(), affinity(it).last), (2, None));
    let now = clock::seconds() + 1000;
    bind(FAR_ENDPOINT, 1, now);
    let it = told();
    assert_eq!(endpoints(&it), [(AFAR, 100.0, Some(CLIENT_POD))]);
    let text = told::text(&it).unwrap();
    assert!(text.contains("ClientIP (10800s): the client is bound to 10.244.2.10:8080, for another 10800s"), "{text}");
    bind("10.244.2.66", 1, now);
    let it = told();
    assert_eq!(it.endpoints.len(), 2);
    assert_eq!(affinity(it).last.unwrap().state, crate::cli::get::affinity::State::EndpointLeft);
}

#[test]
fn hints_and_the_last_resort_are_told_of_the_set_they_made() {
    let because = |flags| {
        let it = told_by(&node(flags, 0), SocketLb::Off, "--from client-1 --to web --port 80").unwrap();
        it.service.unwrap().because
    };
    for (topology, expected) in [
        (Topology::Node, "hints are used: those for this node"),
        (Topology::Zone, "hints are used: those for this node's zone"),
        (Topology::NotAllHinted, "hints are not used: some ready endpoint has none"),
        (Topology::NoneForHere, "hints are not used: no endpoint is hinted for this node or its zone"),
        (Topology::ZoneUnknown, "hints are not used: this node's zone isn't known (topology.kubernetes.io/zone)"),
    ] {
        assert_eq!(because(topology.flags()), ["internalTrafficPolicy is Cluster", expected]);
    }
    assert!(because(service_flags::TERMINATING_CLUSTER)[1].contains("terminate"));
    assert_eq!(because(service_flags::TERMINATING_LOCAL).len(), 1, "of the other set");
}

#[test]
fn sockets_translate_what_the_agent_has_them_translate() {
    let at = |socket_lb, arguments: &str| {
        let it = told_by(&node(0, 0), socket_lb, arguments).unwrap();
        let translation = it.translation.unwrap();
        (translation.at, translation.hook)
    };
    let (pod, host) = ("--from client-1 --to web --port 80", "--from 172.18.0.2 --to web --port 80");
    assert_eq!(at(SocketLb::On, pod), ("socket", "connect4"));
    assert_eq!(at(SocketLb::On, host), ("socket", "connect4"));
    assert_eq!(at(SocketLb::Host, pod), ("packet", "from_pod"));
    assert_eq!(at(SocketLb::Host, host), ("socket", "connect4"));
    assert_eq!(at(SocketLb::Off, host), ("packet", "to_uplink"));
    assert_eq!(at(SocketLb::On, "--from 192.0.2.7 --to 172.18.0.2 --port 30080"), ("packet", "from_uplink"));
    assert_eq!(at(SocketLb::On, "--from 127.0.0.1 --to 172.18.0.2 --port 30080"), ("packet", "to_uplink"));
}

#[test]
fn a_flow_from_the_source_port_is_told_with_what_its_next_packet_does() {
    let flow_to = |endpoint: &str| {
        let pinned = node(0, 0);
        let key = FlowKey {
            src: addr(CLIENT_POD),
            dst: addr("10.96.0.10"),
            src_port: Port::new(40000),
            dst_port: Port::new(80),
            protocol: TCP.into(),
        };
        let record = FlowRecord {
            src: key.src,
            dst: addr(endpoint),
            src_port: key.src_port,
            dst_port: Port::new(8080),
            service: WEB,
            last_seen: clock::seconds() + 1000,
            state: 3,
            ..FlowRecord::default()
        };
        pinned.put(tables::FLOWS, [(key, record)]);
        told_by(&pinned, SocketLb::Off, "--from client-1 --to web --port 80 --source-port 40000").unwrap()
    };
    let flow = flow_to(NEAR_ENDPOINT).flow.unwrap();
    assert_eq!((flow.endpoint.as_str(), flow.state), (NEAR, "Established"));
    assert_eq!(flow.message, "stays with its endpoint");
    let it = flow_to("10.244.2.66");
    assert_eq!(it.endpoints.len(), 2, "a new connection doesn't go there");
    assert_eq!(it.flow.unwrap().message, "its endpoint has left the Service: goes on until it ends");
    assert_eq!(told("--from client-1 --to web --port 80 --source-port 40000").flow, None);
}

#[test]
fn a_pod_that_is_not_listed_is_told_by_the_node_s_routes() {
    let place = |from| {
        let it = told(&format!("--from {from} --to web --port 80"));
        (it.client.place, it.client.because)
    };
    let behind = "its route leaves by interface 3, which is no uplink: it is behind a pod's interface";
    assert_eq!(place("10.244.1.99"), ("Pod", behind.into()));
    assert_eq!(place("240.0.0.1"), ("Outside", "the node has no route to it".into()));
    assert_eq!(place(NODE), ("Node", "it is an address of this node".into()));
}

#[test]
fn names_that_mean_nothing_are_told_with_what_there_is() {
    let not_found =
        "pods \"web-9\" not found in namespace default on this node: ask on the Pod's own node, or name its address";
    assert_eq!(error("--from web-9 --to web --port 80"), not_found);
    assert_eq!(
        error("--from client-1 --to wob --port 80"),
        "services \"wob\" not found in namespace default, nor a Pod of this node"
    );
    assert_eq!(
        error("--from client-1 --to other/web --port 80"),
        "services \"web\" not found in namespace other, nor a Pod of this node"
    );
    let no_port = "Service default/web has no port https of this protocol: it has http (TCP)";
    assert_eq!(error("--from client-1 --to web --port https"), no_port);
    assert!(error("--from client-1 --to 10.96.0.10 --port http").contains("with --to SERVICE a port can be named"));
    let families = "--from fd00::1 and --to web have no address of the same family";
    assert_eq!(error("--from fd00::1 --to web --port 80"), families);
}

#[test]
fn the_text_has_one_line_for_each_thing_told() {
    let it = told(&format!("--from {OUTSIDE} --to {NODE} --port 30080"));
    let expected = "\
From:         192.0.2.7, seen as a client outside: its route leaves by eth0, an uplink
To:           172.18.0.2:30080 TCP
Verdict:      Translated: to an endpoint below
Service:      default/web port http, NodePort *:30080
Endpoints:    Cluster
              - externalTrafficPolicy is Cluster
Translated:   in the path (from_uplink): the client's socket is not on this node
Policy:       Allowed: no NetworkPolicy isolates an end that is a pod of this node

ENDPOINT           ODDS    LOCAL   SOURCE       WHY
10.244.1.10:8080   50.0%   true    192.0.2.7    the client's own
10.244.2.10:8080   50.0%   false   172.18.0.2   the endpoint is on another node, and its replies must come back by this one
";
    assert_eq!(told::text(&it).unwrap(), expected);
}
