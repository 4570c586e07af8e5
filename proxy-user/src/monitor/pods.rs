//! Which Pod has an address: known while somebody listens.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{PoisonError, RwLock};

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::model::{Change, Kind, Object, Pod};

/// A Pod by its name.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct PodRef {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
}

/// The Pods of the cluster by address. The agent keeps it up to date for as long as it is in use, so that it costs nothing
/// when it isn't.
#[derive(Debug, Default)]
pub struct Pods {
    index: RwLock<Index>,
    known: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct Index {
    by_address: HashMap<IpAddr, PodRef>,
    addresses: HashMap<PodRef, Vec<IpAddr>>,
}

impl Pods {
    /// Begins with these.
    pub fn fill<'a>(&self, pods: impl Iterator<Item = &'a Pod>) {
        let mut index = Index::default();
        pods.for_each(|pod| index.put(pod));
        self.replace(index);
        self.known.send_replace(true);
    }

    /// Forgets all.
    pub fn clear(&self) {
        self.known.send_replace(false);
        self.replace(Index::default());
    }

    /// Takes a change in, if it is in use.
    pub fn apply(&self, change: &Change) {
        if !*self.known.borrow() {
            return;
        }
        let mut index = self.index.write().unwrap_or_else(PoisonError::into_inner);
        match change {
            Change::Apply(Object::Pod(pod)) => index.put(pod),
            Change::Delete(object) if object.kind == Kind::Pod => {
                index.remove(&PodRef { namespace: object.namespace.clone(), name: object.name.clone() });
            }
            Change::Apply(_) | Change::Delete(_) => {}
        }
    }

    /// Waits until it is filled.
    pub async fn filled(&self) {
        // An error is that the sender is gone, which is here.
        let _ = self.known.subscribe().wait_for(|known| *known).await;
    }

    /// The Pod at an address; of two, the one that was last told of.
    #[must_use]
    pub fn get(&self, ip: IpAddr) -> Option<PodRef> {
        self.index.read().unwrap_or_else(PoisonError::into_inner).by_address.get(&ip).cloned()
    }

    fn replace(&self, index: Index) {
        *self.index.write().unwrap_or_else(PoisonError::into_inner) = index;
    }
}

impl Index {
    fn put(&mut self, pod: &Pod) {
        let name = PodRef { namespace: pod.namespace.clone(), name: pod.name.clone() };
        self.remove(&name);
        // The address of a Pod that is over may be another's, that of one on its host's network is the node's.
        if pod.finished || pod.host_network || pod.ips.is_empty() {
            return;
        }
        for ip in &pod.ips {
            self.by_address.insert(*ip, name.clone());
        }
        self.addresses.insert(name, pod.ips.clone());
    }

    fn remove(&mut self, name: &PodRef) {
        for ip in self.addresses.remove(name).into_iter().flatten() {
            if self.by_address.get(&ip) == Some(name) {
                self.by_address.remove(&ip);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ObjectRef;
    use crate::model::fixtures::pod;

    fn name_at(pods: &Pods, ip: &str) -> Option<String> {
        pods.get(ip.parse().unwrap()).map(|pod| pod.name)
    }

    fn applied(pods: &Pods, pod: Pod) {
        pods.apply(&Change::Apply(Object::Pod(pod)));
    }

    #[test]
    fn a_pod_is_known_by_its_present_addresses_while_it_is_there() {
        let pods = Pods::default();
        pods.fill([pod("a", "node1", &["10.0.0.1", "fd00::1"])].iter());
        assert_eq!((name_at(&pods, "10.0.0.1"), name_at(&pods, "fd00::1")), (Some("a".into()), Some("a".into())));
        applied(&pods, pod("a", "node1", &["10.0.0.2"]));
        assert_eq!((name_at(&pods, "10.0.0.1"), name_at(&pods, "10.0.0.2")), (None, Some("a".into())));
        let object = ObjectRef { kind: Kind::Pod, namespace: "default".into(), name: "a".into() };
        pods.apply(&Change::Delete(object));
        assert_eq!(name_at(&pods, "10.0.0.2"), None);
    }

    #[test]
    fn an_address_that_another_pod_has_by_now_stays_that_ones() {
        let pods = Pods::default();
        pods.fill([pod("old", "node1", &["10.0.0.1"])].iter());
        applied(&pods, pod("new", "node1", &["10.0.0.1"]));
        applied(&pods, Pod { finished: true, ..pod("old", "node1", &["10.0.0.1"]) });
        assert_eq!(name_at(&pods, "10.0.0.1"), Some("new".into()));
        applied(&pods, Pod { host_network: true, ..pod("on-node", "node1", &["192.0.2.1"]) });
        assert_eq!(name_at(&pods, "192.0.2.1"), None, "that is the node's");
    }

    #[test]
    fn nothing_is_kept_while_nobody_listens() {
        let pods = Pods::default();
        applied(&pods, pod("a", "node1", &["10.0.0.1"]));
        assert_eq!(name_at(&pods, "10.0.0.1"), None);
        pods.fill([pod("a", "node1", &["10.0.0.1"])].iter());
        pods.clear();
        assert_eq!(name_at(&pods, "10.0.0.1"), None);
    }
}
