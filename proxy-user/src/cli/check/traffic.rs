//! Traffic, in slices that no policy tells apart.

use std::collections::BTreeSet;

use proxy_common::addr::protocol;

use super::cluster::Cluster;
use crate::model::{PortMatch, Protocol};

/// Ports of a protocol, from the first to the last.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Slice {
    /// IP protocol number.
    pub(super) protocol: u8,
    pub(super) first: u16,
    pub(super) last: u16,
}

const PROTOCOLS: [Protocol; 3] = [Protocol::Tcp, Protocol::Udp, Protocol::Sctp];

/// Stands for all protocols but those: a rule that names ports allows none of it.
const OTHER: Slice = Slice { protocol: protocol::ICMP, first: 0, last: 0 };

/// All traffic.
#[derive(Debug)]
pub(super) struct Traffic {
    /// By protocol and port; the last is [`OTHER`].
    slices: Vec<Slice>,
}

impl Traffic {
    /// Cut at every port that a policy or a container of the clusters names.
    pub(super) fn of(clusters: &[&Cluster]) -> Self {
        let mut slices = Vec::new();
        for protocol in PROTOCOLS {
            let mut firsts = BTreeSet::from([1]);
            for cluster in clusters {
                let ranges = named_by_policies(cluster, protocol).chain(named_by_pods(cluster, protocol));
                firsts.extend(ranges.flat_map(|(first, last)| [first, last.saturating_add(1)]));
            }
            let firsts: Vec<u16> = firsts.into_iter().collect();
            let lasts = firsts.iter().skip(1).map(|next| next - 1).chain([u16::MAX]);
            let number = protocol.number();
            slices.extend(firsts.iter().zip(lasts).map(|(first, last)| Slice {
                protocol: number,
                first: *first,
                last,
            }));
        }
        slices.push(OTHER);
        Self { slices }
    }

    /// Its slices.
    pub(super) fn slices(&self) -> &[Slice] {
        &self.slices
    }

    /// The slices for which `is_in` is true, as few texts as say it: `all`, `TCP`, `80/TCP`, `1-1023/UDP`, `other protocols`.
    pub(super) fn texts(&self, is_in: impl Fn(usize) -> bool) -> Vec<String> {
        if (0..self.slices.len()).all(&is_in) {
            return vec!["all".into()];
        }
        let mut runs: Vec<Slice> = Vec::new();
        for (_, slice) in self.slices.iter().enumerate().filter(|(i, _)| is_in(*i)) {
            match runs.last_mut() {
                Some(run) if run.protocol == slice.protocol && run.last.checked_add(1) == Some(slice.first) => {
                    run.last = slice.last;
                }
                _ => runs.push(*slice),
            }
        }
        runs.into_iter().map(text).collect()
    }
}

fn text(slice: Slice) -> String {
    let name = protocol::name(slice.protocol);
    match (slice.first, slice.last) {
        _ if slice == OTHER => "other protocols".into(),
        (1, u16::MAX) => name.into(),
        (first, last) if first == last => format!("{first}/{name}"),
        (first, last) => format!("{first}-{last}/{name}"),
    }
}

fn named_by_policies(cluster: &Cluster, protocol: Protocol) -> impl Iterator<Item = (u16, u16)> {
    let rules = cluster.policies.iter().flat_map(|it| it.ingress.iter().chain(&it.egress).flatten());
    let ports = rules.flat_map(|rule| rule.ports.iter().flatten()).filter(move |it| it.protocol == protocol);
    ports.filter_map(|it| match &it.port {
        PortMatch::Range(range) => Some((range.first, range.last)),
        PortMatch::All | PortMatch::Name(_) => None,
    })
}

fn named_by_pods(cluster: &Cluster, protocol: Protocol) -> impl Iterator<Item = (u16, u16)> {
    let ports = cluster.pods.values().flat_map(|pod| &pod.ports).filter(move |it| it.protocol == protocol);
    ports.map(|it| (it.port, it.port))
}
