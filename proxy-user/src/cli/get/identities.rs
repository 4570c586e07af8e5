//! `sluice get identities`: one row for each address that NetworkPolicy knows as a pod's.

use std::net::IpAddr;

use proxy_common::addr::Addr;
use proxy_common::tables::{Identity, Policing};
use serde::Serialize;

use super::Row;
use crate::cli::names::{Filter, non_empty};
use crate::cli::policies::{Direction, Policies, PolicyRef};
use crate::dataplane::ebpf::read::{Pinned, ReadError};
use crate::status::AgentStatus;

#[derive(Serialize, PartialEq, Eq, Debug)]
#[serde(rename_all = "camelCase")]
pub(super) struct IdentityRow {
    address: String,
    /// `namespace/name` of the Pod of this node that has it; absent for pods elsewhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pod: Option<String>,
    /// A pod of this node.
    local: bool,
    /// The host's end of the pod's interface, by its index where the agent tells no name; absent while it isn't known.
    #[serde(skip_serializing_if = "Option::is_none")]
    interface: Option<String>,
    /// What it is as a peer: number of its class, 0 of none.
    class: u32,
    /// What isolates it; absent where nothing does.
    #[serde(skip_serializing_if = "Option::is_none")]
    ingress: Option<Isolation>,
    #[serde(skip_serializing_if = "Option::is_none")]
    egress: Option<Isolation>,
    /// The generation in which it became what it is, or is about to.
    since: u32,
}

/// What isolates a pod in one direction.
#[derive(Serialize, PartialEq, Eq, Debug)]
struct Isolation {
    /// Number of the set of rules.
    set: u32,
    policies: Vec<PolicyRef>,
    /// What the rules don't allow is reported, and passes.
    audit: bool,
}

/// The identities asked for by the Pod that has them, in the order of their addresses.
pub(super) fn read(
    pinned: &Pinned,
    agent: Option<&AgentStatus>,
    filter: Filter<'_>,
) -> Result<Vec<IdentityRow>, ReadError> {
    let (policies, generation) = (Policies::read(pinned)?, pinned.policies.generation()?);
    let mut rows = Vec::new();
    let mut identities: Vec<_> = pinned.policies.identities.entries()?.into_iter().collect();
    identities.sort_by_key(|(addr, _)| IpAddr::from(*addr));
    for (addr, identity) in identities {
        let pod = agent.and_then(|agent| agent.pod_at(addr.into()));
        let is_asked_for = pod.map_or(filter.is_everything(), |pod| filter.takes_named(&pod.namespace, &pod.name));
        if is_asked_for {
            rows.push(row(&policies, agent, addr, pod.map(ToString::to_string), &identity, generation));
        }
    }
    Ok(rows)
}

fn row(
    policies: &Policies,
    agent: Option<&AgentStatus>,
    addr: Addr,
    pod: Option<String>,
    identity: &Identity,
    generation: u32,
) -> IdentityRow {
    let policing = identity.at(generation);
    let isolation = |direction: Direction| {
        let set = direction.set(&policing);
        (set != 0).then(|| Isolation {
            set: set & !Policing::AUDIT,
            policies: policies.names_of_set(set),
            audit: set & Policing::AUDIT != 0,
        })
    };
    let interface = |ifindex: u32| {
        let name = agent.and_then(|agent| agent.device(ifindex));
        name.map_or_else(|| ifindex.to_string(), str::to_owned)
    };
    IdentityRow {
        address: addr.to_string(),
        pod,
        local: identity.is_local(),
        interface: (identity.ifindex != 0).then(|| interface(identity.ifindex)),
        class: policing.class,
        ingress: isolation(Direction::Ingress),
        egress: isolation(Direction::Egress),
        since: identity.since,
    }
}

impl Isolation {
    fn cell(&self) -> String {
        let names: Vec<_> = self.policies.iter().map(ToString::to_string).collect();
        let audit = if self.audit { " (audit)" } else { "" };
        format!("{}{audit}", non_empty(names.join(",")))
    }
}

impl Row for IdentityRow {
    const LIST_KIND: &'static str = "IdentityList";
    const COLUMNS: &'static [&'static str] = &["ADDRESS", "POD", "LOCAL", "INTERFACE", "CLASS", "INGRESS", "EGRESS"];
    const WIDE_COLUMNS: &'static [&'static str] = &["INGRESS-SET", "EGRESS-SET", "SINCE"];

    fn cells(&self) -> Vec<String> {
        let policies = |it: &Option<Isolation>| non_empty(it.as_ref().map(Isolation::cell).unwrap_or_default());
        let set = |it: &Option<Isolation>| non_empty(it.as_ref().map(|it| it.set.to_string()).unwrap_or_default());
        vec![
            self.address.clone(),
            non_empty(self.pod.clone().unwrap_or_default()),
            self.local.to_string(),
            non_empty(self.interface.clone().unwrap_or_default()),
            self.class.to_string(),
            policies(&self.ingress),
            policies(&self.egress),
            set(&self.ingress),
            set(&self.egress),
            self.since.to_string(),
        ]
    }
}
