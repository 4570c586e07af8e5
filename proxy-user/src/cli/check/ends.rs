//! Ends of connections: who behaves the same is one.

use std::collections::{BTreeMap, BTreeSet};

use proxy_common::addr::{Addr, Family};
use proxy_common::tables::Policing;

use super::cluster::{Cluster, PodName, Spot};
use super::names;
use super::regions::regions;

/// Pods of a namespace, or addresses that no Pod has, which every policy treats the same.
pub(super) struct End {
    pub(super) name: String,
    pub(super) who: Who,
}

/// Who is meant.
pub(super) enum Who {
    Pods(Vec<PodName>),
    Addresses {
        /// Networks that policies name, without those inside of them that are named too.
        networks: Vec<String>,
        /// One of the addresses of each family.
        examples: BTreeMap<Family, Addr>,
    },
}

impl End {
    /// Two ends of one family between which a packet may go; `None` where there are none, or none of them is a Pod's. The
    /// two are different Pods, as a Pod always reaches itself.
    pub(super) fn pair<'a>(
        from: &Self,
        to: &Self,
        family: Family,
        cluster: &'a Cluster,
    ) -> Option<(Spot<'a>, Spot<'a>)> {
        match (&from.who, &to.who) {
            (Who::Addresses { .. }, Who::Addresses { .. }) => None,
            (Who::Pods(pods), Who::Pods(others)) if pods == others => {
                Some((cluster.spot(pods.first()?, family)?, cluster.spot(pods.get(1)?, family)?))
            }
            _ => Some((from.spot(family, cluster)?, to.spot(family, cluster)?)),
        }
    }

    fn spot<'a>(&self, family: Family, cluster: &'a Cluster) -> Option<Spot<'a>> {
        match &self.who {
            Who::Pods(pods) => cluster.spot(pods.first()?, family),
            Who::Addresses { examples, .. } => examples.get(&family).map(|addr| Spot { addr: *addr, node: None }),
        }
    }

    /// Whether policies make of its Pods something that `is_isolated`.
    pub(super) fn is_isolated(&self, cluster: &Cluster, is_isolated: impl Fn(Policing) -> bool) -> bool {
        let Who::Pods(pods) = &self.who else { return false };
        let pod = pods.first().and_then(|pod| cluster.pods.get(pod));
        pod.is_some_and(|pod| pod.ips.iter().any(|ip| is_isolated(cluster.policing((*ip).into()))))
    }

    /// Ports of the Pods' containers: protocol number and port.
    pub(super) fn ports(&self, cluster: &Cluster) -> BTreeSet<(u8, u16)> {
        let Who::Pods(pods) = &self.who else { return BTreeSet::new() };
        let ports = pods.iter().filter_map(|pod| cluster.pods.get(pod)).flat_map(|pod| &pod.ports);
        ports.map(|it| (it.protocol.number(), it.port)).collect()
    }
}

/// The ends in the clusters; Pods only those that all of them have.
pub(super) fn ends(clusters: &[&Cluster]) -> Vec<End> {
    let mut ends = of_pods(clusters);
    ends.extend(of_addresses(clusters));
    ends
}

fn of_pods(clusters: &[&Cluster]) -> Vec<End> {
    // What policies make of each of a Pod's addresses, in each cluster.
    type Behaviour = Vec<Vec<(Family, Policing)>>;
    let mut groups: BTreeMap<(&str, Behaviour), Vec<PodName>> = BTreeMap::new();
    let [first, others @ ..] = clusters else { return Vec::new() };
    for name in first.pods.keys().filter(|name| others.iter().all(|it| it.pods.contains_key(*name))) {
        let behaviour = clusters.iter().map(|cluster| {
            let addresses = cluster.pods[name].ips.iter().map(|ip| Addr::from(*ip));
            let mut behaviour: Vec<_> = addresses.map(|addr| (addr.family(), cluster.policing(addr))).collect();
            behaviour.sort_unstable();
            behaviour
        });
        groups.entry((&name.0, behaviour.collect())).or_default().push(name.clone());
    }
    let mut groups: Vec<Vec<PodName>> = groups.into_values().collect();
    groups.sort();
    let all: BTreeSet<&PodName> = clusters.iter().flat_map(|it| it.pods.keys()).collect();
    groups.into_iter().map(|pods| End { name: names::pods(&pods, &all), who: Who::Pods(pods) }).collect()
}

fn of_addresses(clusters: &[&Cluster]) -> Vec<End> {
    let mut groups: BTreeMap<Vec<u32>, Vec<_>> = BTreeMap::new();
    for region in regions(clusters) {
        let addr = Addr::from(region.addr);
        let classes = clusters.iter().map(|it| it.class(addr)).collect();
        groups.entry(classes).or_default().push((region.network, addr));
    }
    let ends = groups.into_values().map(|regions| {
        let networks: Vec<String> =
            regions.iter().filter_map(|(network, _)| *network).map(|it| it.to_string()).collect();
        let has_outside = regions.iter().any(|(network, _)| network.is_none());
        let examples = regions.iter().rev().map(|(_, addr)| (addr.family(), *addr)).collect();
        End { name: names::addresses(has_outside, &networks), who: Who::Addresses { networks, examples } }
    });
    ends.collect()
}
