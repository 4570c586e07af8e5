//! `sluice get endpoints`: one row for each Service, as kubectl lists them.

use std::collections::{BTreeMap, BTreeSet};

use proxy_common::tables::Backend;
use serde::Serialize;

use super::Row;
use super::backends::slots;
use crate::cli::names::{Filter, socket_addr};
use crate::plan::Image;

/// How many addresses a table shows before it counts the rest, as in kubectl.
const SHOWN: usize = 3;

#[derive(Serialize, PartialEq, Eq, Debug)]
pub(super) struct EndpointsRow {
    namespace: String,
    name: String,
    endpoints: Vec<Endpoint>,
}

#[derive(Serialize, PartialEq, Eq, Debug)]
#[serde(rename_all = "camelCase")]
struct Endpoint {
    port_name: String,
    protocol: &'static str,
    /// `IP:port`.
    address: String,
    /// On this node.
    local: bool,
}

pub(super) fn rows(image: &Image, filter: Filter<'_>) -> Vec<EndpointsRow> {
    let mut services = BTreeMap::<_, Vec<Endpoint>>::new();
    for (id, port) in filter.ports(&image.names) {
        // An endpoint on this node stands in both sets.
        let endpoints: BTreeSet<_> = slots(&image.backends, id).map(|(_, backend)| *backend).collect();
        let endpoint = |backend: Backend| Endpoint {
            port_name: port.port.clone(),
            protocol: port.protocol,
            address: socket_addr(backend.addr, backend.port),
            local: backend.is_local(),
        };
        let of_service = services.entry((port.namespace.clone(), port.name.clone())).or_default();
        of_service.extend(endpoints.into_iter().map(endpoint));
    }
    services.into_iter().map(|((namespace, name), endpoints)| EndpointsRow { namespace, name, endpoints }).collect()
}

impl Row for EndpointsRow {
    const LIST_KIND: &'static str = "EndpointsList";
    const COLUMNS: &'static [&'static str] = &["NAMESPACE", "NAME", "ENDPOINTS"];
    const WIDE_COLUMNS: &'static [&'static str] = &["ALL-ENDPOINTS"];

    fn cells(&self) -> Vec<String> {
        let addresses: Vec<_> = self.endpoints.iter().map(|endpoint| endpoint.address.as_str()).collect();
        let shown = addresses[..addresses.len().min(SHOWN)].join(",");
        let summary = match addresses.len() {
            0 => "<none>".into(),
            count if count > SHOWN => format!("{shown} + {} more...", count - SHOWN),
            _ => shown,
        };
        vec![self.namespace.clone(), self.name.clone(), summary, addresses.join(",")]
    }
}
