//! `sluice get services`: one row for each Service port and family.

use std::collections::BTreeMap;

use proxy_common::tables::{Service, ServiceKey, Topology, service_flags};
use serde::Serialize;

use super::Row;
use crate::cli::names::{Filter, FrontendType, PortName, cidr, non_empty};
use crate::plan::Image;

#[derive(Serialize, PartialEq, Eq, Debug)]
#[serde(rename_all = "camelCase")]
pub(super) struct ServiceRow {
    #[serde(flatten)]
    port: PortName,
    id: u32,
    frontends: Vec<Frontend>,
    endpoints: EndpointCounts,
    /// Seconds of session affinity by client IP; absent without.
    #[serde(skip_serializing_if = "Option::is_none")]
    affinity_seconds: Option<u32>,
    /// What became of topology hints; absent where no endpoint has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    hints: Option<&'static str>,
    /// Networks that may use the frontends with `sourceRanges`; empty where no frontend has them.
    source_ranges: Vec<String>,
    /// Sets that, for want of a ready endpoint, hold those that still serve while they terminate.
    terminating: Vec<&'static str>,
}

#[derive(Serialize, PartialEq, Eq, Debug)]
#[serde(rename_all = "camelCase")]
struct Frontend {
    r#type: FrontendType,
    /// `IP:port`; `*:port` for a node port, which is served on the node's addresses.
    address: String,
    traffic_policy: &'static str,
    /// Only `loadBalancerSourceRanges` may use it.
    source_ranges: bool,
}

/// Usable endpoints in the cluster, and those of them on this node.
#[derive(Serialize, PartialEq, Eq, Debug)]
struct EndpointCounts {
    cluster: u32,
    local: u32,
}

/// Frontends and source ranges by the number of their Service port.
struct Ports<'a> {
    frontends: BTreeMap<u32, Vec<(&'a ServiceKey, &'a Service)>>,
    source_ranges: BTreeMap<u32, Vec<String>>,
}

pub(super) fn rows(image: &Image, filter: Filter<'_>) -> Vec<ServiceRow> {
    let mut ports = Ports { frontends: BTreeMap::new(), source_ranges: BTreeMap::new() };
    for (key, service) in &image.services {
        ports.frontends.entry(service.id).or_default().push((key, service));
    }
    for prefix in &image.source_ranges {
        ports.source_ranges.entry(prefix.range.service).or_default().push(cidr(prefix));
    }
    filter.ports(&image.names).into_iter().map(|(id, port)| ports.row(id, port)).collect()
}

impl Ports<'_> {
    fn row(&self, id: u32, port: PortName) -> ServiceRow {
        let entries = self.frontends.get(&id).map(Vec::as_slice).unwrap_or_default();
        // All frontends of a Service port say the same of its endpoints, once a change is through.
        let most = |count: fn(&Service) -> u32| entries.iter().map(|(_, service)| count(service)).max().unwrap_or(0);
        let is = |flag| entries.iter().any(|(_, service)| service.flags & flag != 0);
        let topology = entries.iter().map(|(_, service)| Topology::from_flags(service.flags)).max();
        let mut frontends: Vec<_> = entries.iter().map(|(key, service)| Frontend::new(key, service)).collect();
        frontends.sort_by(|a, b| (a.r#type, &a.address).cmp(&(b.r#type, &b.address)));
        let terminating =
            [("Cluster", service_flags::TERMINATING_CLUSTER), ("Local", service_flags::TERMINATING_LOCAL)];
        ServiceRow {
            port,
            id,
            frontends,
            endpoints: EndpointCounts {
                cluster: most(|service| service.cluster),
                local: most(|service| service.local),
            },
            affinity_seconds: Some(most(|service| service.affinity_timeout)).filter(|seconds| *seconds != 0),
            hints: topology.and_then(hints),
            source_ranges: self.source_ranges.get(&id).cloned().unwrap_or_default(),
            terminating: terminating.into_iter().filter(|(_, flag)| is(*flag)).map(|(set, _)| set).collect(),
        }
    }
}

const fn hints(topology: Topology) -> Option<&'static str> {
    match topology {
        Topology::None => None,
        Topology::Node => Some("Node"),
        Topology::Zone => Some("Zone"),
        Topology::NotAllHinted => Some("NotAllHinted"),
        Topology::NoneForHere => Some("NoneForHere"),
        Topology::ZoneUnknown => Some("ZoneUnknown"),
    }
}

impl Frontend {
    fn new(key: &ServiceKey, service: &Service) -> Self {
        let is = |flag| service.flags & flag != 0;
        let r#type = FrontendType::new(service);
        Self {
            r#type,
            address: r#type.address(key),
            traffic_policy: if is(service_flags::LOCAL_ONLY) { "Local" } else { "Cluster" },
            source_ranges: is(service_flags::SOURCE_RANGES),
        }
    }
}

impl Row for ServiceRow {
    const LIST_KIND: &'static str = "ServiceList";
    const COLUMNS: &'static [&'static str] =
        &["NAMESPACE", "NAME", "TYPE", "PORT", "PROTOCOL", "FRONTENDS", "ENDPOINTS"];
    const WIDE_COLUMNS: &'static [&'static str] =
        &["FAMILY", "TRAFFIC-POLICY", "AFFINITY", "HINTS", "SOURCE-RANGES", "TERMINATING", "ID"];

    fn cells(&self) -> Vec<String> {
        let joined = |text: fn(&Frontend) -> &str| self.frontends.iter().map(text).collect::<Vec<_>>().join(",");
        // As in Kubernetes a type includes those before it.
        let r#type = self.frontends.iter().map(|frontend| frontend.r#type).max().map_or("<none>", FrontendType::name);
        let affinity = self.affinity_seconds.map(|seconds| format!("ClientIP ({seconds}s)"));
        vec![
            self.port.namespace.clone(),
            self.port.name.clone(),
            r#type.into(),
            self.port.port(),
            self.port.protocol.into(),
            non_empty(joined(|frontend| &frontend.address)),
            format!("{} ({} local)", self.endpoints.cluster, self.endpoints.local),
            self.port.family.into(),
            non_empty(joined(|frontend| frontend.traffic_policy)),
            non_empty(affinity.unwrap_or_default()),
            non_empty(self.hints.unwrap_or_default().into()),
            non_empty(self.source_ranges.join(",")),
            non_empty(self.terminating.join(",")),
            self.id.to_string(),
        ]
    }
}
