//! What is told of manifests.

use std::collections::BTreeSet;

use proxy_common::addr::Family;
use serde::Serialize;

use super::cluster::{Cluster, Verdict};
use super::ends::{End, Who, ends};
use super::matrix::{self, Cell};
use super::traffic::Traffic;

/// What is told of manifests.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Report {
    /// What is wrong with objects.
    pub(super) problems: Vec<String>,
    /// What to know when reading the rest.
    pub(super) notes: Vec<String>,
    /// Who the names of ends stand for.
    pub(super) ends: Vec<EndMembers>,
    /// Who may talk to whom; only of a single directory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) connections: Option<Vec<Connection>>,
    /// What the second directory would change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) changes: Option<Vec<Changed>>,
}

/// Who behaves the same.
#[derive(Debug, Serialize)]
pub(super) struct EndMembers {
    pub(super) name: String,
    /// `NAMESPACE/NAME` each.
    pub(super) pods: Vec<String>,
    /// Networks that policies name, without what others of them have inside.
    pub(super) networks: Vec<String>,
}

/// What may pass from one end to another.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Connection {
    #[serde(flatten)]
    pub(super) ends: Ends,
    /// Some policy isolates what the one sends, or what the other gets. Else everything is allowed.
    pub(super) isolated: bool,
    /// As `80/TCP`, `1-1023/UDP`, `TCP`, `other protocols`, or `all`.
    pub(super) allowed: Vec<String>,
    /// What passes only because a policy is audited.
    pub(super) audited: Vec<String>,
    pub(super) denied: Vec<String>,
    /// Of what is denied, ports of the Pods' containers.
    pub(super) denied_container_ports: Vec<String>,
}

/// What a change does to the traffic from one end to another.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Changed {
    pub(super) change: Change,
    #[serde(flatten)]
    pub(super) ends: Ends,
    pub(super) traffic: Vec<String>,
}

/// From whom to whom.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Ends {
    pub(super) from: String,
    pub(super) to: String,
    /// Where the families differ.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) family: Option<&'static str>,
}

impl Ends {
    /// To whom, and by which family.
    pub(super) fn to_with_family(&self) -> String {
        let family = self.family.map(|family| format!(" ({family})")).unwrap_or_default();
        format!("{}{family}", self.to)
    }
}

/// What becomes of traffic.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub(super) enum Change {
    /// It passes now.
    Opens,
    /// It doesn't pass any more.
    Closes,
    /// It passes, and will be reported.
    Audited,
    /// It is no longer reported.
    Unaudited,
}

impl Change {
    const ALL: [Self; 4] = [Self::Opens, Self::Closes, Self::Audited, Self::Unaudited];

    fn between(before: Verdict, after: Verdict) -> Option<Self> {
        match (before, after) {
            (Verdict::Denied, Verdict::Audited | Verdict::Allowed) => Some(Self::Opens),
            (Verdict::Audited | Verdict::Allowed, Verdict::Denied) => Some(Self::Closes),
            (Verdict::Allowed, Verdict::Audited) => Some(Self::Audited),
            (Verdict::Audited, Verdict::Allowed) => Some(Self::Unaudited),
            _ => None,
        }
    }
}

impl Report {
    /// Who may talk to whom.
    pub(super) fn of(cluster: &Cluster) -> Self {
        let (ends, traffic) = (ends(&[cluster]), Traffic::of(&[cluster]));
        let cells = matrix::verdicts(cluster, &ends, &traffic);
        let connections = cells.iter().map(|cell| connection(cell, cluster, &traffic)).collect();
        Self { connections: Some(connections), changes: None, ..Self::about(&[cluster], &ends) }
    }

    /// What changes from one to the other.
    pub(super) fn between(before: &Cluster, after: &Cluster) -> Self {
        let both = [before, after];
        let (ends, traffic) = (ends(&both), Traffic::of(&both));
        let cells = matrix::changes(both, &ends, &traffic);
        let changes = cells.iter().flat_map(|cell| changed(cell, &traffic)).collect();
        let mut report = Self { connections: None, changes: Some(changes), ..Self::about(&both, &ends) };
        for (here, there, which) in [(before, after, "first"), (after, before, "second")] {
            let only: Vec<_> = here.pods.keys().filter(|name| !there.pods.contains_key(*name)).collect();
            if !only.is_empty() {
                let names: Vec<String> = only.iter().map(|(namespace, name)| format!("{namespace}/{name}")).collect();
                report.notes.push(format!("not compared, only in the {which} directory: {}", names.join(", ")));
            }
        }
        report
    }

    /// Whether something is wrong with an object.
    pub(super) fn has_problems(&self) -> bool {
        !self.problems.is_empty()
    }

    fn about(clusters: &[&Cluster], ends: &[End]) -> Self {
        let mut told = BTreeSet::new();
        let problems = clusters.iter().flat_map(|it| &it.problems).filter(|text| told.insert(*text)).cloned().collect();
        let mut notes = Vec::new();
        if clusters.iter().any(|it| it.has_made_up_addresses) {
            notes.push("Pods without an address are taken to be in no ipBlock but 0.0.0.0/0 and ::/0".to_owned());
        }
        Self { problems, notes, ends: ends.iter().map(members).collect(), connections: None, changes: None }
    }
}

fn members(end: &End) -> EndMembers {
    let (pods, networks) = match &end.who {
        Who::Pods(pods) => (pods.iter().map(|(namespace, name)| format!("{namespace}/{name}")).collect(), vec![]),
        Who::Addresses { networks, .. } => (vec![], networks.clone()),
    };
    EndMembers { name: end.name.clone(), pods, networks }
}

fn names<T>(cell: &Cell<'_, T>) -> Ends {
    let family = cell.family.map(|family| match family {
        Family::V4 => "IPv4",
        Family::V6 => "IPv6",
    });
    Ends { from: cell.from.name.clone(), to: cell.to.name.clone(), family }
}

fn connection(cell: &Cell<'_, Verdict>, cluster: &Cluster, traffic: &Traffic) -> Connection {
    let with = |verdict| traffic.texts(|i| cell.found[i] == verdict);
    let ports = cell.to.ports(cluster);
    let is_port = |i: usize| {
        let slice = &traffic.slices()[i];
        slice.first == slice.last && ports.contains(&(slice.protocol, slice.first))
    };
    Connection {
        ends: names(cell),
        isolated: cell.from.is_isolated(cluster, |it| it.egress != 0)
            || cell.to.is_isolated(cluster, |it| it.ingress != 0),
        allowed: with(Verdict::Allowed),
        audited: with(Verdict::Audited),
        denied: with(Verdict::Denied),
        denied_container_ports: traffic.texts(|i| cell.found[i] == Verdict::Denied && is_port(i)),
    }
}

fn changed(cell: &Cell<'_, (Verdict, Verdict)>, traffic: &Traffic) -> impl Iterator<Item = Changed> {
    let ends = names(cell);
    let of = Change::ALL.map(|change| {
        let is_it = |i: usize| Change::between(cell.found[i].0, cell.found[i].1) == Some(change);
        (change, traffic.texts(is_it))
    });
    let of = of.into_iter().filter(|(_, traffic)| !traffic.is_empty());
    of.map(move |(change, traffic)| Changed { change, ends: ends.clone(), traffic })
}
