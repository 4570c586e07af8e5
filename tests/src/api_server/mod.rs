//! An API server for agents to follow: lists, watches and Events as the real one serves them, and whatever can go wrong.
//!
//! It runs in this process and listens in any network namespace. Objects are put into it by [`Api::apply`], and
//! [`ApiServer::fail`] breaks requests. What it was asked is in [`ApiServer::requests`].

mod access;
mod answer;
mod api;
mod certificates;
mod connections;
mod discovery;
mod fault;
mod kind;
mod list;
mod real;
mod request;
mod selector;
mod shared;
mod status;
mod store;
mod stored;
mod target;
#[cfg(test)]
mod tests;
mod watch;
mod write;
mod writer;

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use serde_json::Value;
use tokio::runtime::Runtime;
use tokio_rustls::TlsAcceptor;

pub use api::Api;
pub use fault::{Fault, Verb};
pub use kind::{KINDS, Kind};
pub use real::{RealApiServer, asset};
pub use request::Request;
pub use shared::{GoneAs, Settings};
pub use writer::Writer;

use self::access::Access;
use self::certificates::Certificates;
use self::connections::Listening;
use self::fault::Rule;
use self::shared::{Shared, lock};
use self::stored::Stored;

use crate::error::{Doing as _, Error, Result};
use crate::host::Host;
use crate::lab::Lab;
use crate::topology;

/// Port of a real one.
const PORT: u16 = 6443;

/// A running server; it ends when it is dropped.
pub struct ApiServer {
    shared: Arc<Shared>,
    /// None: the network namespace of this process.
    place: Option<Host>,
    address: SocketAddr,
    tls: Option<TlsAcceptor>,
    access: Access,
    /// None while nothing listens.
    listening: Mutex<Option<Listening>>,
    tokens: Mutex<u32>,
    runtime: Runtime,
}

impl ApiServer {
    /// Starts one where a lab's nodes and its client reach it: on the router between them.
    pub fn in_lab(lab: &Lab, settings: Settings) -> Result<Self> {
        Self::start(Some(lab.wire().clone()), SocketAddr::new(topology::NODE_GATEWAY.v4.into(), PORT), settings)
    }

    /// Starts one on this machine's loopback, at a free port.
    pub fn on_loopback(settings: Settings) -> Result<Self> {
        Self::start(None, SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), settings)
    }

    fn start(place: Option<Host>, wanted: SocketAddr, settings: Settings) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let runtime = runtime.doing(|| "start a runtime for an API server".into())?;
        let token = token_of(1);
        let shared = Arc::new(Shared::new(settings, token.clone()));
        let certificates = settings.tls.then(|| Certificates::new(wanted.ip())).transpose()?;
        let tls = certificates.as_ref().map(Certificates::acceptor).transpose()?;
        let (address, listening) = start_listening(&runtime, place.as_ref(), wanted, tls.clone(), &shared)?;
        let scheme = if settings.tls { "https" } else { "http" };
        let authority = certificates.as_ref().map(|certificates| &*certificates.authority);
        let access = Access::new(&format!("{scheme}://{address}"), authority, &token)?;
        let listening = Mutex::new(Some(listening));
        Ok(Self { shared, place, address, tls, access, listening, tokens: Mutex::new(1), runtime })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The objects of a kind, as they are now.
    #[must_use]
    pub fn objects(&self, kind: &Kind) -> Vec<Value> {
        let store = self.shared.store();
        let objects = store.list(kind, store.revision()).unwrap_or_default();
        objects.values().map(|object| object.value()).collect()
    }

    /// Breaks requests until [`ApiServer::heal`]: those of a verb for a kind by its name in paths, or for every kind.
    /// [`Fault::Cut`] and [`Fault::Garbled`] hit once.
    pub fn fail(&self, verb: Verb, plural: Option<&str>, fault: Fault) {
        self.shared.add_rule(Rule { verb, plural: plural.map(Into::into), fault });
    }

    /// Ends all faults. A request that hangs goes on to hang: its connection has to be cut.
    pub fn heal(&self) {
        self.shared.clear_rules();
    }

    /// Forgets what changed so far, as a compaction does: running watches and those that would go on from an older version
    /// are told so.
    pub fn compact(&self, gone_as: GoneAs) {
        self.shared.compact(gone_as);
    }

    /// Cuts every connection; new ones can be made.
    pub fn cut_connections(&self) {
        if let Some(listening) = &*lock(&self.listening) {
            listening.cut();
        }
    }

    /// Writes a new token for clients to read. The old one is refused from now on.
    pub fn rotate_token(&self) -> Result<()> {
        let mut tokens = lock(&self.tokens);
        *tokens += 1;
        self.access.set_token(&token_of(*tokens))?;
        self.shared.set_token(token_of(*tokens));
        Ok(())
    }

    /// What it was asked so far.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        self.shared.requests()
    }

    /// Forgets what it was asked.
    pub fn forget_requests(&self) {
        self.shared.forget_requests();
    }
}

impl Api for ApiServer {
    fn kubeconfig(&self) -> PathBuf {
        self.access.kubeconfig()
    }

    fn apply(&self, object: &Value) -> Result<()> {
        self.shared.put(Kind::of_object(object)?, object.clone());
        Ok(())
    }

    fn delete(&self, object: &Value) -> Result<()> {
        let kind = Kind::of_object(object)?;
        let key = Stored::key_of(kind, object);
        self.shared.delete(kind, &key).map(drop).ok_or_else(|| Error::Unknown {
            what: "object of the API server",
            name: format!("{} {}/{}", kind.kind, key.0, key.1),
            have: "are others".into(),
        })
    }

    fn go_down(&self) -> Result<()> {
        *lock(&self.listening) = None;
        Ok(())
    }

    fn come_up(&self) -> Result<()> {
        let (place, tls) = (self.place.as_ref(), self.tls.clone());
        let (_, listening) = start_listening(&self.runtime, place, self.address, tls, &self.shared)?;
        *lock(&self.listening) = Some(listening);
        Ok(())
    }
}

fn start_listening(
    runtime: &Runtime,
    place: Option<&Host>,
    address: SocketAddr,
    tls: Option<TlsAcceptor>,
    shared: &Arc<Shared>,
) -> Result<(SocketAddr, Listening)> {
    let socket = match place {
        None => TcpListener::bind(address),
        Some(host) => host.inside(|| TcpListener::bind(address))?,
    };
    let started = socket.and_then(|socket| {
        Ok((socket.local_addr()?, Listening::start(runtime.handle(), socket, tls, shared.clone())?))
    });
    started.doing(|| format!("listen at {address} for an API server"))
}

/// The token number so-and-so.
fn token_of(number: u32) -> String {
    format!("token-{number}")
}
