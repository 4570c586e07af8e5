//! Who has to answer, and which client address they have to see, by the manifests alone.

use std::collections::BTreeSet;

use super::case::Case;
use super::row::Seen;
use crate::cluster::Cluster;
use crate::error::Result;
use crate::manifests::PodManifest;

/// What a client sees of a node that drops its request.
pub(super) const DROPPED: &str = "timeout";

/// The answers that a case has to get; none when its node has to drop the requests.
///
/// A ready pod that the Service selects sees the client's own address, unless a request came to another node's NodePort:
/// with externalTrafficPolicy Cluster it then sees that node, through which its answer has to go; with Local it isn't
/// asked.
pub(super) fn expected(case: &Case, pods: &[PodManifest], cluster: &Cluster) -> Result<BTreeSet<Seen>> {
    let mut expected = BTreeSet::new();
    for pod in pods.iter().filter(|pod| pod.is_ready() && case.service.selects(pod)) {
        let client = match case.node.as_deref().filter(|node| *node != pod.node()) {
            None => case.source,
            Some(_) if case.service.is_external_local() => continue,
            Some(through) => cluster.lab().node(through)?.addresses().of(case.family),
        };
        expected.insert(Seen { pod: pod.name().to_owned(), client });
    }
    Ok(expected)
}
