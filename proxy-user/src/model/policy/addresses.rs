//! Which Pod has an address, where several say so.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnetwork::IpNetwork;

use super::pods::PodId;
use crate::model::Pod;

/// How well a Pod's claim to its address is founded: one that isn't on its way out has it, then the one that came last.
type Claim = (bool, PodId);

/// The addresses of all Pods.
#[derive(Default, Debug)]
pub(super) struct PodAddresses {
    claims: BTreeMap<IpAddr, BTreeSet<Claim>>,
}

impl PodAddresses {
    pub(super) fn insert(&mut self, id: PodId, pod: &Pod) {
        for ip in ips(pod) {
            self.claims.entry(ip).or_default().insert(claim(id, pod));
        }
    }

    pub(super) fn remove(&mut self, id: PodId, pod: &Pod) {
        for ip in ips(pod) {
            let Some(claims) = self.claims.get_mut(&ip) else { continue };
            claims.remove(&claim(id, pod));
            if claims.is_empty() {
                self.claims.remove(&ip);
            }
        }
    }

    /// The Pod that has it.
    pub(super) fn holder(&self, ip: IpAddr) -> Option<PodId> {
        self.claims.get(&ip)?.last().map(|(_, id)| *id)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = IpAddr> {
        self.claims.keys().copied()
    }

    /// Those within a network.
    pub(super) fn within(&self, network: IpNetwork) -> impl Iterator<Item = IpAddr> {
        self.claims.range(network.network()..=network.broadcast()).map(|(ip, _)| *ip)
    }
}

/// A Pod's addresses, IPv4 in its own form.
pub(super) fn ips(pod: &Pod) -> impl Iterator<Item = IpAddr> {
    pod.ips.iter().map(IpAddr::to_canonical)
}

fn claim(id: PodId, pod: &Pod) -> Claim {
    (!pod.terminating, id)
}
