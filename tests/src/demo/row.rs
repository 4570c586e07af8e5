//! What one client saw of one Service.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use serde::Serialize;

use crate::family::Family;

/// A pod that answered, and the client address it saw.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
pub struct Seen {
    /// Name of the pod.
    pub pod: String,
    /// Address of the client, as the pod saw it.
    pub client: IpAddr,
}

/// The requests of one client to one address of a Service.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// State of the cluster.
    pub step: String,
    /// Name of the Service.
    pub service: String,
    /// Address family.
    pub family: Family,
    /// Name of the host that asked.
    pub from: String,
    /// Address that it asked.
    pub to: SocketAddr,
    /// Which pods answered, and what they saw.
    pub answers: BTreeSet<Seen>,
    /// Errors of the requests that got no answer, each once.
    pub errors: BTreeSet<String>,
    /// Which pods have to answer, and what they have to see; none: the node has to drop the requests.
    pub expected: BTreeSet<Seen>,
    /// Whether it is as it has to be.
    pub pass: bool,
}
