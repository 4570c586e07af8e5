//! `sluice get backends`: one row for each slot of each set of a Service port.

use std::collections::BTreeMap;

use proxy_common::tables::{Backend, BackendKey, EndpointSet};
use serde::Serialize;

use super::Row;
use crate::cli::names::{Filter, PortName, socket_addr};
use crate::plan::Image;

#[derive(Serialize, PartialEq, Eq, Debug)]
#[serde(rename_all = "camelCase")]
pub(super) struct BackendRow {
    #[serde(flatten)]
    port: PortName,
    set: &'static str,
    slot: u32,
    /// `IP:port`.
    address: String,
    /// On this node.
    local: bool,
}

pub(super) fn rows(image: &Image, filter: Filter<'_>) -> Vec<BackendRow> {
    let ports = filter.ports(&image.names).into_iter();
    ports.flat_map(|(id, port)| slots(&image.backends, id).map(move |slot| BackendRow::new(&port, slot))).collect()
}

/// The slots of the Service port `id`, set by set.
pub(super) fn slots(
    backends: &BTreeMap<BackendKey, Backend>,
    id: u32,
) -> impl Iterator<Item = (&BackendKey, &Backend)> {
    backends.range(BackendKey { service: id, set: 0, slot: 0 }..).take_while(move |(key, _)| key.service == id)
}

impl BackendRow {
    fn new(port: &PortName, (key, backend): (&BackendKey, &Backend)) -> Self {
        let set = if key.set == EndpointSet::Local as u32 { "Local" } else { "Cluster" };
        let address = socket_addr(backend.addr, backend.port);
        Self { port: port.clone(), set, slot: key.slot, address, local: backend.is_local() }
    }
}

impl Row for BackendRow {
    const LIST_KIND: &'static str = "BackendList";
    const COLUMNS: &'static [&'static str] =
        &["NAMESPACE", "NAME", "PORT", "PROTOCOL", "SET", "SLOT", "BACKEND", "LOCAL"];
    const WIDE_COLUMNS: &'static [&'static str] = &["FAMILY"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.port.namespace.clone(),
            self.port.name.clone(),
            self.port.port(),
            self.port.protocol.into(),
            self.set.into(),
            self.slot.to_string(),
            self.address.clone(),
            self.local.to_string(),
            self.port.family.into(),
        ]
    }
}
