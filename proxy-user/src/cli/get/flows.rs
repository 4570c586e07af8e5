//! `sluice get flows`: one row for each translated flow, and for each address a socket was translated for.

use std::collections::BTreeMap;

use proxy_common::addr::{Addr, Port, protocol};
use proxy_common::flow::State;
use proxy_common::tables::{FlowKey, FlowRecord, ServiceName, SocketKey, SocketPeer, flow_flags};
use serde::Serialize;

use super::Row;
use crate::cli::clock;
use crate::cli::names::{Filter, PortName, socket_addr};
use crate::dataplane::ebpf::read::{Pinned, ReadError};

#[derive(Serialize, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[serde(rename_all = "camelCase")]
pub(super) struct FlowRow {
    /// `packet`, or `socket`: translated there, its packets carry the backend's address from the start.
    translated_at: &'static str,
    protocol: &'static str,
    /// `IP:port`, or `socket:COOKIE`.
    client: String,
    /// The names are empty for a flow past any Service.
    service_namespace: String,
    service_name: String,
    service_port_name: String,
    /// `IP:port` the client asked for.
    frontend: String,
    /// `IP:port` that serves it.
    backend: String,
    /// Connection state; absent for a socket, which keeps its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<&'static str>,
    idle_seconds: u32,
    /// `IP:port` the backend sees instead of the client, where it is another.
    #[serde(skip_serializing_if = "Option::is_none")]
    snat: Option<String>,
    flags: Vec<&'static str>,
}

/// Address and port of one end.
type End = (Addr, Port);

/// A socket, the Service address it asked for and the backend it got.
type Translation = (u64, End, End);

/// Both directions of a flow, seen from the client; rebuilt from the record of either.
#[derive(Clone, Copy)]
struct Flow {
    forward: FlowKey,
    /// Source and destination after translation.
    source: End,
    backend: End,
    record: FlowRecord,
}

/// The flows asked for, of so many entries of each table at most. A flow whose Service is gone is listed under `<unknown>`, unless one was named.
pub(super) fn read(pinned: &Pinned, filter: Filter<'_>, limit: usize) -> Result<Vec<FlowRow>, ReadError> {
    let services = Services { names: pinned.names.entries()?, filter };
    let now = clock::seconds();
    let records = pinned.flows.some(limit)?.into_iter().chain(pinned.flows_new.some(limit)?);
    let mut rows = packets(records, &services, now);
    rows.extend(sockets(pinned.sock_backend.some(limit)?, pinned.sock_origin.some(limit)?, &services, now));
    rows.sort();
    Ok(rows)
}

struct Services<'a> {
    names: BTreeMap<u32, ServiceName>,
    filter: Filter<'a>,
}

impl Services<'_> {
    /// The name of a Service port that was asked for. A flow past any Service has the number 0.
    fn get(&self, id: u32) -> Option<PortName> {
        if id == 0 {
            return self.filter.is_everything().then(PortName::none);
        }
        let port = self.names.get(&id).map_or_else(PortName::unknown, PortName::from);
        self.filter.takes(&port).then_some(port)
    }
}

fn packets(records: impl Iterator<Item = (FlowKey, FlowRecord)>, services: &Services<'_>, now: u32) -> Vec<FlowRow> {
    let mut flows = BTreeMap::<FlowKey, Flow>::new();
    for (key, record) in records {
        let flow = Flow::new(key, record);
        let known = flows.entry(flow.forward).or_insert(flow);
        known.record.last_seen = known.record.last_seen.max(record.last_seen);
        known.record.state = known.record.state.max(record.state);
        known.record.flags |= record.flags;
    }
    flows.into_values().filter_map(|flow| Some(flow.row(&services.get(flow.record.service)?, now))).collect()
}

impl Flow {
    fn new(key: FlowKey, record: FlowRecord) -> Self {
        let (forward, source, backend) = if record.flags & flow_flags::REPLY == 0 {
            (key, (record.src, record.src_port), (record.dst, record.dst_port))
        } else {
            (record.reply_key(key.protocol), (key.dst, key.dst_port), (key.src, key.src_port))
        };
        Self { forward, source, backend, record }
    }

    fn row(&self, port: &PortName, now: u32) -> FlowRow {
        let client = socket_addr(self.forward.src, self.forward.src_port);
        let source = socket_addr(self.source.0, self.source.1);
        FlowRow {
            translated_at: "packet",
            protocol: u8::try_from(self.forward.protocol).map_or("?", protocol::name),
            service_namespace: port.namespace.clone(),
            service_name: port.name.clone(),
            service_port_name: port.port.clone(),
            frontend: socket_addr(self.forward.dst, self.forward.dst_port),
            backend: socket_addr(self.backend.0, self.backend.1),
            state: Some(State::from_number(self.record.state).name()),
            idle_seconds: clock::since(self.record.last_seen, now),
            snat: (source != client).then_some(source),
            flags: flags(self.record.flags),
            client,
        }
    }
}

/// One row for each socket and Service address: a socket of datagrams stands in both tables.
fn sockets(
    backends: BTreeMap<SocketKey, SocketPeer>,
    origins: BTreeMap<SocketKey, SocketPeer>,
    services: &Services<'_>,
    now: u32,
) -> Vec<FlowRow> {
    let mut rows = BTreeMap::<Translation, SocketPeer>::new();
    let from_backends =
        backends.into_iter().map(|(key, peer)| ((key.addr, key.port), (peer.addr, peer.port), key, peer));
    let from_origins = origins.into_iter().map(|(key, peer)| ((peer.addr, peer.port), (key.addr, key.port), key, peer));
    for (frontend, backend, key, peer) in from_backends.chain(from_origins) {
        let newest = rows.entry((key.cookie, frontend, backend)).or_insert(peer);
        newest.last_seen = newest.last_seen.max(peer.last_seen);
    }
    let row = |((cookie, frontend, backend), peer): (Translation, SocketPeer)| {
        let port = services.get(peer.service)?;
        Some(FlowRow {
            translated_at: "socket",
            protocol: u8::try_from(peer.protocol).map_or("?", protocol::name),
            client: format!("socket:{cookie}"),
            service_namespace: port.namespace,
            service_name: port.name,
            service_port_name: port.port,
            frontend: socket_addr(frontend.0, frontend.1),
            backend: socket_addr(backend.0, backend.1),
            state: None,
            idle_seconds: clock::since(peer.last_seen, now),
            snat: None,
            flags: vec![],
        })
    };
    rows.into_iter().filter_map(row).collect()
}

fn flags(bits: u32) -> Vec<&'static str> {
    let names = [
        (flow_flags::AS_IS, "AsIs"),
        (flow_flags::BACKEND_IS_NODE, "BackendIsNode"),
        (flow_flags::BACKEND_LOCAL, "BackendLocal"),
        (flow_flags::CLIENT_IS_NODE, "ClientIsNode"),
        (flow_flags::RESTORE_AT_CLIENT, "RestoreAtClient"),
    ];
    names.into_iter().filter(|(bit, _)| bits & bit != 0).map(|(_, name)| name).collect()
}

impl Row for FlowRow {
    const LIST_KIND: &'static str = "FlowList";
    const COLUMNS: &'static [&'static str] =
        &["PROTOCOL", "CLIENT", "SERVICE", "FRONTEND", "BACKEND", "STATE", "IDLE", "SNAT"];
    const WIDE_COLUMNS: &'static [&'static str] = &["TRANSLATED-AT", "FLAGS"];

    fn cells(&self) -> Vec<String> {
        let none = || "<none>".to_owned();
        let separator = if self.service_port_name.is_empty() { "" } else { ":" };
        let service =
            || format!("{}/{}{separator}{}", self.service_namespace, self.service_name, self.service_port_name);
        vec![
            self.protocol.into(),
            self.client.clone(),
            if self.service_name.is_empty() { none() } else { service() },
            self.frontend.clone(),
            self.backend.clone(),
            self.state.map_or_else(none, Into::into),
            format!("{}s", self.idle_seconds),
            self.snat.clone().unwrap_or_else(none),
            self.translated_at.into(),
            if self.flags.is_empty() { none() } else { self.flags.join(",") },
        ]
    }
}
