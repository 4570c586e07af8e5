//! Which Pod has an address, where several say so.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnetwork::IpNetwork;

use super::pods::PodId;
use crate::model::Pod;

/// How well a Pod's claim to its address is founded: one that isn't on its way out has it, then the one that came last.
type Claim = (bool, PodId);

const FIRST: Claim = (false, PodId::MIN);
const LAST: Claim = (true, PodId::MAX);

/// The addresses of all Pods.
#[derive(Default, Debug)]
pub(super) struct PodAddresses {
    claims: BTreeSet<(IpAddr, Claim)>,
}

impl PodAddresses {
    pub(super) fn insert(&mut self, id: PodId, pod: &Pod) {
        self.claims.extend(ips(pod).map(|ip| (ip, claim(id, pod))));
    }

    pub(super) fn remove(&mut self, id: PodId, pod: &Pod) {
        for ip in ips(pod) {
            self.claims.remove(&(ip, claim(id, pod)));
        }
    }

    /// The Pod that has it.
    pub(super) fn holder(&self, ip: IpAddr) -> Option<PodId> {
        self.claims.range((ip, FIRST)..=(ip, LAST)).next_back().map(|(_, (_, id))| *id)
    }

    /// Each as often as it is claimed.
    pub(super) fn iter(&self) -> impl Iterator<Item = IpAddr> {
        self.claims.iter().map(|(ip, _)| *ip)
    }

    /// Those within a network, each as often as it is claimed.
    pub(super) fn within(&self, network: IpNetwork) -> impl Iterator<Item = IpAddr> {
        self.claims.range((network.network(), FIRST)..=(network.broadcast(), LAST)).map(|(ip, _)| *ip)
    }
}

/// A Pod's addresses, IPv4 in its own form.
pub(super) fn ips(pod: &Pod) -> impl Iterator<Item = IpAddr> {
    pod.ips.iter().map(IpAddr::to_canonical)
}

fn claim(id: PodId, pod: &Pod) -> Claim {
    (!pod.terminating, id)
}
