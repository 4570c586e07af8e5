//! `sluice get services`: one row for each Service port and family.

use std::collections::BTreeMap;

use proxy_common::tables::{Service, ServiceKey, service_flags};
use serde::Serialize;

use super::Row;
use super::names::{Filter, PortName, socket_addr};
use crate::plan::Image;

#[derive(Serialize, PartialEq, Eq, Debug)]
#[serde(rename_all = "camelCase")]
pub(super) struct ServiceRow {
    #[serde(flatten)]
    port: PortName,
    id: u32,
    frontends: Vec<Frontend>,
    endpoints: EndpointCounts,
}

#[derive(Serialize, PartialEq, Eq, Debug)]
#[serde(rename_all = "camelCase")]
struct Frontend {
    r#type: &'static str,
    /// `IP:port`; `*:port` for a node port, which is served on the node's addresses.
    address: String,
    traffic_policy: &'static str,
}

/// Usable endpoints in the cluster, and those of them on this node.
#[derive(Serialize, PartialEq, Eq, Debug)]
struct EndpointCounts {
    cluster: u32,
    local: u32,
}

type FrontendsById<'a> = BTreeMap<u32, Vec<(&'a ServiceKey, &'a Service)>>;

pub(super) fn rows(image: &Image, filter: Filter<'_>) -> Vec<ServiceRow> {
    let mut by_id = FrontendsById::new();
    for (key, service) in &image.services {
        by_id.entry(service.id).or_default().push((key, service));
    }
    let frontends = |id| by_id.get(&id).map(Vec::as_slice).unwrap_or_default();
    filter.ports(&image.names).into_iter().map(|(id, port)| row(id, port, frontends(id))).collect()
}

fn row(id: u32, port: PortName, entries: &[(&ServiceKey, &Service)]) -> ServiceRow {
    let most = |count: fn(&Service) -> u32| entries.iter().map(|(_, service)| count(service)).max().unwrap_or(0);
    let mut frontends: Vec<_> = entries.iter().map(|(key, service)| Frontend::new(key, service)).collect();
    // ClusterIP, ExternalIP, NodePort: the order of the alphabet is that of the way in.
    frontends.sort_by(|a, b| (a.r#type, &a.address).cmp(&(b.r#type, &b.address)));
    let endpoints = EndpointCounts { cluster: most(|service| service.cluster), local: most(|service| service.local) };
    ServiceRow { port, id, frontends, endpoints }
}

impl Frontend {
    fn new(key: &ServiceKey, service: &Service) -> Self {
        let is = |flag| service.flags & flag != 0;
        let r#type = match (is(service_flags::NODE_PORT), is(service_flags::EXTERNAL)) {
            (true, _) => "NodePort",
            (false, true) => "ExternalIP",
            (false, false) => "ClusterIP",
        };
        let on_every_address = r#type == "NodePort";
        Self {
            r#type,
            address: if on_every_address { format!("*:{}", key.port) } else { socket_addr(key.addr, key.port) },
            traffic_policy: if is(service_flags::LOCAL_ONLY) { "Local" } else { "Cluster" },
        }
    }
}

impl Row for ServiceRow {
    const LIST_KIND: &'static str = "ServiceList";
    const COLUMNS: &'static [&'static str] =
        &["NAMESPACE", "NAME", "TYPE", "PORT", "PROTOCOL", "FRONTENDS", "ENDPOINTS"];
    const WIDE_COLUMNS: &'static [&'static str] = &["FAMILY", "TRAFFIC-POLICY", "ID"];

    fn cells(&self) -> Vec<String> {
        let joined = |text: fn(&Frontend) -> &str| self.frontends.iter().map(text).collect::<Vec<_>>().join(",");
        // As in Kubernetes a type includes those before it.
        let r#type = self.frontends.last().map_or("<none>", |frontend| frontend.r#type);
        vec![
            self.port.namespace.clone(),
            self.port.name.clone(),
            r#type.into(),
            self.port.port(),
            self.port.protocol.into(),
            joined(|frontend| &frontend.address),
            format!("{} ({} local)", self.endpoints.cluster, self.endpoints.local),
            self.port.family.into(),
            joined(|frontend| frontend.traffic_policy),
            self.id.to_string(),
        ]
    }
}
