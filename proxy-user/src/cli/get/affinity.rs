//! `sluice get affinity`: one row for each client of a Service port that session affinity has bound.

use std::collections::BTreeMap;

use proxy_common::affinity::Asking;
use proxy_common::service::{Client, Request, ServiceTables};
use proxy_common::tables::{Affinity, AffinityKey, Backend, Service};
use serde::Serialize;

use super::Row;
use crate::cli::clock;
use crate::cli::names::{Filter, PortName, socket_addr};
use crate::dataplane::ebpf::read::{Overlay, Pinned, ReadError};

#[derive(Serialize, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[serde(rename_all = "camelCase")]
pub(super) struct AffinityRow {
    #[serde(flatten)]
    port: PortName,
    client: String,
    /// `IP:port`.
    endpoint: String,
    /// Seconds since its last new connection.
    idle_seconds: u32,
    /// Seconds without a new connection after which it is bound no more.
    left_seconds: u32,
    /// Whether the next connection goes there.
    state: State,
}

/// Whether a client's next connection goes to the endpoint it is bound to, or why not.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
pub(in crate::cli) enum State {
    /// It does.
    Bound,
    /// Its time is over.
    Expired,
    /// The endpoint is in no set that a frontend chooses from.
    EndpointLeft,
    /// Session affinity was switched off, perhaps on again, since.
    SwitchedOff,
}

impl State {
    pub(in crate::cli) const fn name(self) -> &'static str {
        match self {
            Self::Bound => "Bound",
            Self::Expired => "Expired",
            Self::EndpointLeft => "EndpointLeft",
            Self::SwitchedOff => "SwitchedOff",
        }
    }

    /// What the decision makes of `affinity` at `now`, for a client that asks these frontends from these places. Where it
    /// says no, the reason is the first of its conditions without which it says yes.
    pub(in crate::cli) fn new(
        tables: &impl ServiceTables,
        key: &AffinityKey,
        affinity: &Affinity,
        asked: &[(Service, Client)],
        now: u32,
    ) -> Self {
        let bound = |now: u32, generation: Option<u32>| {
            asked.iter().filter(|(service, _)| service.affinity_timeout != 0).any(|(service, client)| {
                let affinity_generation = generation.unwrap_or(service.affinity_generation);
                let request = Request { client: *client, source: key.client, now };
                Asking::new(&Service { affinity_generation, ..*service }, &request)
                    .bound(tables, &mut Backend::default())
            })
        };
        if bound(now, None) {
            Self::Bound
        } else if bound(affinity.last_used, None) {
            Self::Expired
        } else if asked.iter().all(|(service, _)| service.affinity_timeout == 0)
            || bound(affinity.last_used, Some(affinity.generation))
        {
            Self::SwitchedOff
        } else {
            Self::EndpointLeft
        }
    }
}

/// Where a client may be: the frontends' traffic policies ask.
const EVERYWHERE: [Client; 3] = [Client::Pod, Client::Node, Client::Outside];

/// The clients asked for.
pub(super) fn read(pinned: &Pinned, filter: Filter<'_>) -> Result<Vec<AffinityRow>, ReadError> {
    let names = pinned.names.entries()?;
    let ports: BTreeMap<u32, PortName> = filter.ports(&names).into_iter().collect();
    let mut frontends = BTreeMap::<u32, Vec<Service>>::new();
    for service in pinned.services.entries()?.into_values() {
        frontends.entry(service.id).or_default().push(service);
    }
    let (tables, now, mut rows) = (Overlay::new(pinned), clock::seconds(), Vec::new());
    for (key, affinity) in pinned.affinity.entries()? {
        let Some(port) = ports.get(&key.service) else { continue };
        let frontends = frontends.get(&key.service).map(Vec::as_slice).unwrap_or_default();
        let timeout = frontends.iter().map(|service| service.affinity_timeout).max().unwrap_or(0);
        let idle = clock::since(affinity.last_used, now);
        let asked: Vec<_> = frontends.iter().flat_map(|it| EVERYWHERE.map(|client| (*it, client))).collect();
        let state = State::new(&tables, &key, &affinity, &asked, now);
        rows.push(AffinityRow {
            port: port.clone(),
            client: key.client.to_string(),
            endpoint: socket_addr(affinity.addr, affinity.port),
            idle_seconds: idle,
            left_seconds: timeout.saturating_sub(idle),
            state,
        });
    }
    tables.check()?;
    rows.sort();
    Ok(rows)
}

impl Row for AffinityRow {
    const LIST_KIND: &'static str = "AffinityList";
    const COLUMNS: &'static [&'static str] =
        &["NAMESPACE", "NAME", "PORT", "PROTOCOL", "CLIENT", "ENDPOINT", "IDLE", "LEFT", "STATE"];
    const WIDE_COLUMNS: &'static [&'static str] = &["FAMILY"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.port.namespace.clone(),
            self.port.name.clone(),
            self.port.port(),
            self.port.protocol.into(),
            self.client.clone(),
            self.endpoint.clone(),
            format!("{}s", self.idle_seconds),
            format!("{}s", self.left_seconds),
            self.state.name().into(),
            self.port.family.into(),
        ]
    }
}
