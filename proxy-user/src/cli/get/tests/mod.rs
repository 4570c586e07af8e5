//! What the tables hold, as it is printed; from real pinned maps. Takes root.

use std::net::IpAddr;

use proxy_common::addr::protocol::{TCP, UDP};
use proxy_common::addr::{Addr, Family, Port};
use proxy_common::drop::Reason;
use proxy_common::tables::{
    self, Backend, BackendKey, EndpointSet, Service, ServiceKey, ServiceName, SourceRange, Topology, backend_flags,
    service_flags,
};
use serde_json::{Value, json};

use super::*;
use crate::dataplane::ebpf::read::tests::PinnedTables;
use crate::plan::SourcePrefix;

mod affinity;
mod flows;
pub(in crate::cli) mod policies;

const EVERYTHING: Filter<'static> = Filter { namespace: None, name: None };
/// Numbers of the Service ports.
const WEB: u32 = 1;
const WEB6: u32 = 2;
const DNS: u32 = 3;
const IDLE: u32 = 4;

pub(in crate::cli) fn addr(text: &str) -> Addr {
    text.parse::<IpAddr>().unwrap().into()
}

pub(in crate::cli) fn name(namespace: &str, name: &str, port: &str, protocol: u8, family: u32) -> ServiceName {
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

pub(in crate::cli) fn backend(ip: &str, port: u16, flags: u16) -> Backend {
    Backend { addr: addr(ip), port: Port::new(port), flags }
}

pub(in crate::cli) fn frontend(ip: &str, port: u16, protocol: u8) -> ServiceKey {
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
    let expected = "4 (1 local)   IPv4     Cluster,Local    <none>     <none>   <none>          <none>        1";
    assert!(web.ends_with(expected), "{web}");
}

/// A network of IPv4.
pub(in crate::cli) fn range(service: u32, ip: &str, prefix: u32) -> SourcePrefix {
    SourcePrefix { range: SourceRange { service, addr: addr(ip) }, bits: SourceRange::BEFORE_V4 + prefix }
}

/// The Service port WEB with an address of a load balancer too, and all that a Service can ask for.
fn with_everything() -> PinnedTables {
    let pinned = tables();
    let flags = Topology::Zone.flags() | service_flags::TERMINATING_LOCAL;
    let of_port = Service { id: WEB, cluster: 4, local: 1, flags, affinity_timeout: 10_800, affinity_generation: 2 };
    let external = flags | service_flags::EXTERNAL;
    let balancer = external | service_flags::LOAD_BALANCER | service_flags::LOCAL_ONLY | service_flags::SOURCE_RANGES;
    pinned.put(
        tables::SERVICES,
        [
            (frontend("10.96.0.10", 80, TCP), of_port),
            (frontend("203.0.113.1", 80, TCP), Service { flags: external, ..of_port }),
            (frontend("203.0.113.2", 80, TCP), Service { flags: balancer, ..of_port }),
        ],
    );
    pinned.put_source_ranges([range(WEB, "192.0.2.0", 24), range(WEB, "198.51.100.7", 32)]);
    pinned
}

#[test]
fn services_show_policies_affinity_hints_and_source_ranges() {
    let pinned = with_everything();
    let image = Pinned::open(pinned.bpffs()).unwrap().image().unwrap();
    let rows = services::rows(&image, Filter { name: Some("web"), ..EVERYTHING });
    let wide = table(&rows, ListFormat::Wide);
    let web = wide.lines().nth(1).unwrap();
    assert!(web.starts_with("default     web    LoadBalancer   http"), "{web}");
    assert!(web.contains("10.96.0.10:80,203.0.113.1:80,*:30080,203.0.113.2:80"), "{web}");
    let expected = "Cluster,Cluster,Local,Local   ClientIP (10800s)   Zone     192.0.2.0/24,198.51.100.7/32   Local";
    assert!(web.contains(expected), "{web}");
    let item = &json(&rows)["items"][0];
    assert_eq!(item["affinitySeconds"], json!(10_800));
    assert_eq!(item["hints"], json!("Zone"));
    assert_eq!(item["sourceRanges"], json!(["192.0.2.0/24", "198.51.100.7/32"]));
    assert_eq!(item["terminating"], json!(["Local"]));
    let balancer = json!({
        "type": "LoadBalancer", "address": "203.0.113.2:80", "trafficPolicy": "Local", "sourceRanges": true
    });
    assert_eq!(item["frontends"][3], balancer);
}

#[test]
fn a_source_range_of_ipv6_has_its_own_prefix_length() {
    let prefix = SourcePrefix {
        range: SourceRange { service: WEB, addr: addr("2001:db8::") },
        bits: SourceRange::BEFORE_V6 + 32,
    };
    assert_eq!(crate::cli::names::cidr(&prefix), "2001:db8::/32");
    assert_eq!(crate::cli::names::cidr(&range(WEB, "0.0.0.0", 0)), "0.0.0.0/0");
}

#[test]
fn a_service_that_is_not_there_is_not_found() {
    let pinned = tables();
    let read = Pinned::open(pinned.bpffs()).unwrap();
    assert!(find(&read, EVERYTHING).is_ok() && find(&read, Filter { name: Some("web"), ..EVERYTHING }).is_ok());
    for filter in
        [Filter { name: Some("wob"), namespace: None }, Filter { name: Some("web"), namespace: Some("kube-system") }]
    {
        let error = find(&read, filter).unwrap_err().to_string();
        assert_eq!(error, format!("services \"{}\" not found", filter.name.unwrap()));
    }
}

#[test]
fn drops_are_listed_by_reason_with_what_they_mean() {
    let pinned = PinnedTables::empty();
    let sum = pinned.put_drops(Reason::SourceRange);
    let audited = pinned.put_counts(tables::AUDITS, Reason::PolicyIngress);
    let read = Pinned::open(pinned.bpffs()).unwrap();
    let rows = drops::rows(&read.drops().unwrap(), &read.audits().unwrap());
    assert_eq!(rows.len(), Reason::ALL.len());
    let wide = table(&rows, ListFormat::Wide);
    let line = wide.lines().find(|line| line.starts_with("SourceRange")).unwrap();
    assert!(line.contains(&format!("   {sum}  ")) && line.contains("dropped: the client is not in"), "{wide}");
    let counts = |reason: Reason| {
        let item = &json(&rows)["items"][reason.number() as usize - 1];
        assert_eq!(item["reason"], json!(reason.name()));
        (item["packets"].clone(), item["audited"].clone())
    };
    assert_eq!(counts(Reason::SourceRange), (json!(sum), json!(0)));
    assert_eq!(counts(Reason::PolicyIngress), (json!(0), json!(audited)), "it passed");
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
            { "type": "ClusterIP", "address": "10.96.0.10:80", "trafficPolicy": "Cluster", "sourceRanges": false },
            { "type": "NodePort", "address": "*:30080", "trafficPolicy": "Local", "sourceRanges": false },
        ],
        "endpoints": { "cluster": 4, "local": 1 }, "sourceRanges": [], "terminating": [],
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
