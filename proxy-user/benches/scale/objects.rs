//! Services and their slices, the way an API server prints them.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use proxy_common::addr::{Family, Port, protocol};
use proxy_common::tables::ServiceKey;
use proxy_user::model::{Change, EndpointGroup, EndpointSlice, GroupEndpoint, GroupPort, Object, Protocol, ServiceRef};
use proxy_user::objects::ObjectEvent;

/// Name of the node the agent works for: it runs one endpoint in ten.
pub(crate) const NODE: &str = "node0";
const NAMESPACE: &str = "scale";
const PORT: u16 = 80;
const TARGET_PORT: u16 = 8080;

/// ClusterIP Services with one port, and one slice each.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Objects {
    /// How many.
    pub(crate) services: u32,
    /// Endpoints of each.
    pub(crate) endpoints: u32,
}

impl Objects {
    /// Name of the file with a Service and its slice.
    pub(crate) fn file_name(service: u32) -> String {
        format!("{}.yaml", name(service))
    }

    /// A Service and its slice as YAML. The endpoint `unready`, if there is one, neither gets nor answers connections.
    pub(crate) fn manifest(self, service: u32, unready: Option<u32>) -> String {
        let (name, ip) = (name(service), cluster_ip(service));
        let mut text = format!(
            "apiVersion: v1\nkind: Service\nmetadata:\n  name: {name}\n  namespace: {NAMESPACE}\n  labels:\n    \
             app: {name}\n  creationTimestamp: \"2026-01-01T00:00:00Z\"\nspec:\n  type: ClusterIP\n  clusterIP: {ip}\n  \
             clusterIPs:\n  - {ip}\n  ipFamilies:\n  - IPv4\n  ipFamilyPolicy: SingleStack\n  \
             internalTrafficPolicy: Cluster\n  sessionAffinity: None\n  selector:\n    app: {name}\n  ports:\n  \
             - name: http\n    port: {PORT}\n    protocol: TCP\n    targetPort: {TARGET_PORT}\n---\n\
             apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata:\n  name: {name}-abcde\n  \
             namespace: {NAMESPACE}\n  labels:\n    kubernetes.io/service-name: {name}\n    \
             endpointslice.kubernetes.io/managed-by: endpointslice-controller.k8s.io\naddressType: IPv4\nports:\n\
             - name: http\n  port: {TARGET_PORT}\n  protocol: TCP\nendpoints:\n"
        );
        for endpoint in 0..self.endpoints {
            let (ip, ready) = (self.endpoint_ip(service, endpoint), unready != Some(endpoint));
            let node = node(endpoint);
            writeln!(
                text,
                "- addresses:\n  - {ip}\n  conditions:\n    ready: {ready}\n    serving: {ready}\n    \
                 terminating: false\n  nodeName: {node}\n  targetRef:\n    kind: Pod\n    name: {name}-{endpoint}\n    \
                 namespace: {NAMESPACE}"
            )
            .expect("a String takes all that is written to it");
        }
        text
    }

    /// What a source says when the slice of a Service becomes what [`Objects::manifest`] has.
    pub(crate) fn change(self, service: u32, unready: Option<u32>) -> ObjectEvent {
        let endpoints = (0..self.endpoints).map(|endpoint| {
            let ready = unready != Some(endpoint);
            GroupEndpoint {
                ip: self.endpoint_ip(service, endpoint),
                node_name: Some(Arc::from(node(endpoint))),
                ready,
                serving: ready,
                terminating: false,
                hints: None,
            }
        });
        ObjectEvent::Change(Change::Apply(Object::EndpointSlice(EndpointSlice {
            namespace: NAMESPACE.into(),
            name: format!("{}-abcde", name(service)),
            service: Some(ServiceRef::new(NAMESPACE, name(service))),
            family: Some(Family::V4),
            last_change: None,
            group: EndpointGroup {
                ports: vec![GroupPort { name: "http".into(), protocol: Protocol::Tcp, port: TARGET_PORT }],
                endpoints: endpoints.collect(),
            },
        })))
    }

    fn endpoint_ip(self, service: u32, endpoint: u32) -> IpAddr {
        Ipv4Addr::from_bits(Ipv4Addr::new(10, 0, 0, 1).to_bits() + service * self.endpoints + endpoint).into()
    }
}

/// Where clients of a Service send to.
pub(crate) fn frontend(service: u32) -> ServiceKey {
    ServiceKey::new(cluster_ip(service).into(), Port::new(PORT), protocol::TCP)
}

fn name(service: u32) -> String {
    format!("service-{service:05}")
}

fn cluster_ip(service: u32) -> IpAddr {
    Ipv4Addr::from_bits(Ipv4Addr::new(172, 16, 0, 1).to_bits() + service).into()
}

fn node(endpoint: u32) -> String {
    format!("node{}", endpoint % 10)
}
