//! The names of this node, as its tables have them: in step with what the programs judge by, at no cost to the agent.

use std::cell::{RefCell, RefMut};
use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use proxy_common::addr::{Addr, Port};
use proxy_common::service::{Client, find};
use proxy_common::tables::{Policing, PolicyName, address_flags};
use rustix::net::netdevice::index_to_name;
use rustix::net::{AddressFamily, SocketType, socket};

use super::annotate::{Direction, Names};
use super::{PodRef, Pods, PolicyRef, ServiceAt};
use crate::dataplane::ebpf::read::{Overlay, Pinned, ReadError};
use crate::plan::name;

/// How old the list of what sets are made of may be: it is read as a whole.
const SETS_AGE: Duration = Duration::from_secs(1);

/// Who is who, from the pinned tables, the Pods and the kernel's interfaces. What can't be read has no name.
pub struct NodeNames {
    pinned: Pinned,
    pods: Arc<Pods>,
    interfaces: OwnedFd,
    sets: RefCell<Sets>,
}

/// Policies by the number of the set that they are part of.
#[derive(Default)]
struct Sets {
    read: Option<Instant>,
    policies: BTreeMap<u32, Vec<u32>>,
}

impl NodeNames {
    /// Looks names up in these tables, and among these Pods.
    pub fn new(pinned: Pinned, pods: Arc<Pods>) -> io::Result<Self> {
        let interfaces = socket(AddressFamily::INET, SocketType::DGRAM, None)?;
        Ok(Self { pinned, pods, interfaces, sets: RefCell::default() })
    }

    fn sets(&self) -> Result<RefMut<'_, Sets>, ReadError> {
        let mut sets = self.sets.borrow_mut();
        if sets.read.is_none_or(|read| read.elapsed() > SETS_AGE) {
            let mut policies = BTreeMap::<u32, Vec<u32>>::new();
            for entry in self.pinned.policies.set_policies.keys()? {
                policies.entry(entry.set).or_default().push(entry.policy);
            }
            *sets = Sets { read: Some(Instant::now()), policies };
        }
        Ok(sets)
    }

    fn policies_isolating(&self, addr: Addr, direction: Direction) -> Result<Vec<PolicyRef>, ReadError> {
        let Some(identity) = self.pinned.policies.identities.get(&addr)? else { return Ok(Vec::new()) };
        let policing = identity.at(self.pinned.policies.generation()?);
        let set = match direction {
            Direction::Ingress => policing.ingress,
            Direction::Egress => policing.egress,
        };
        let policies = self.sets()?.policies.get(&(set & !Policing::AUDIT)).cloned().unwrap_or_default();
        let mut names: Vec<_> = policies.into_iter().filter_map(|number| self.policy(number)).collect();
        names.sort();
        Ok(names)
    }
}

impl Names for NodeNames {
    fn pod(&self, ip: IpAddr) -> Option<PodRef> {
        self.pods.get(ip)
    }

    fn is_node(&self, ip: IpAddr) -> bool {
        let address = seen(self.pinned.addresses.get(&ip.into())).flatten();
        address.is_some_and(|address| address.is(address_flags::NODE))
    }

    fn service(&self, address: IpAddr, port: u16, protocol: u8) -> Option<ServiceAt> {
        // Whoever asks at a loopback address of the node is the node.
        let client = if address.is_loopback() { Client::Node } else { Client::Pod };
        let tables = Overlay::new(&self.pinned);
        let (_, service) = find(&tables, client, address.into(), Port::new(port), protocol).ok()?;
        let entry = seen(self.pinned.names.get(&service.id)).flatten()?;
        let name = name::from_table(&entry)?;
        let (namespace, port_name) = (name.service.namespace, name.port);
        Some(ServiceAt { namespace, name: name.service.name, port_name, address, port })
    }

    fn policy(&self, number: u32) -> Option<PolicyRef> {
        let PolicyName { namespace, name } = seen(self.pinned.policies.names.get(&number)).flatten()?;
        Some(PolicyRef { namespace: text(&namespace), policy: text(&name) })
    }

    fn isolating(&self, ip: IpAddr, direction: Direction) -> Vec<PolicyRef> {
        seen(self.policies_isolating(ip.into(), direction)).unwrap_or_default()
    }

    fn interface(&self, ifindex: u32) -> Option<String> {
        index_to_name(&self.interfaces, ifindex).ok()
    }
}

fn text(padded: &[u8]) -> String {
    let length = padded.iter().position(|byte| *byte == 0).unwrap_or(padded.len());
    String::from_utf8_lossy(&padded[..length]).into_owned()
}

fn seen<T>(looked_up: Result<T, ReadError>) -> Option<T> {
    looked_up.inspect_err(|error| tracing::debug!("no names for what is monitored: {error}")).ok()
}

#[cfg(test)]
mod tests {
    use proxy_common::addr::protocol::TCP;
    use proxy_common::tables::{self, Address, Identity, Service, ServiceKey, ServiceName, SetPolicy};

    use super::*;
    use crate::dataplane::ebpf::read::tests::PinnedTables;
    use crate::model::fixtures::pod;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn padded<const N: usize>(text: &str) -> [u8; N] {
        let mut bytes = [0; N];
        bytes[..text.len()].copy_from_slice(text.as_bytes());
        bytes
    }

    fn names(pinned: &PinnedTables) -> NodeNames {
        let pods = Arc::new(Pods::default());
        pods.fill([pod("web", "", &["10.0.0.7"])].iter());
        NodeNames::new(Pinned::open(pinned.bpffs()).unwrap(), pods).unwrap()
    }

    #[test]
    fn services_are_known_by_their_addresses_and_node_ports_by_the_nodes() {
        let pinned = PinnedTables::empty();
        let name = ServiceName {
            namespace: padded("default"),
            name: padded("web"),
            port: padded("http"),
            protocol: 6,
            family: 4,
        };
        pinned.put(tables::SERVICE_NAMES, [(1_u32, name)]);
        let service = Service { id: 1, ..Service::default() };
        let key = |at: &str, port| ServiceKey::new(ip(at).into(), Port::new(port), TCP);
        pinned.put(tables::SERVICES, [(key("10.96.0.10", 80), service), (key("0.0.0.0", 30080), service)]);
        let node = Address { flags: address_flags::NODE | address_flags::NODE_PORT };
        let frontend = Address { flags: address_flags::FRONTEND };
        let address = |at: &str, flags| (Addr::from(ip(at)), flags);
        pinned.put(
            tables::ADDRESSES,
            [address("10.96.0.10", frontend), address("192.0.2.1", node), address("127.0.0.1", node)],
        );
        let names = names(&pinned);
        for (at, port) in [("10.96.0.10", 80), ("192.0.2.1", 30080), ("127.0.0.1", 30080)] {
            let found = names.service(ip(at), port, TCP).unwrap();
            assert_eq!((found.name.as_str(), found.port_name.as_str(), found.address), ("web", "http", ip(at)));
        }
        assert_eq!(names.service(ip("10.96.0.10"), 81, TCP), None);
        assert!(names.is_node(ip("192.0.2.1")) && !names.is_node(ip("10.96.0.10")));
        assert_eq!(names.pod(ip("10.0.0.7")).unwrap().name, "web");
        assert_eq!((names.interface(1).as_deref(), names.interface(u32::MAX)), (Some("lo"), None));
    }

    #[test]
    fn the_policies_that_isolate_a_pod_are_told_by_direction_audited_or_not() {
        let pinned = PinnedTables::empty();
        let policy = |name: &str| PolicyName { namespace: padded("default"), name: padded(name) };
        pinned.put(tables::POLICY_NAMES, [(1_u32, policy("b")), (2, policy("a")), (3, policy("out"))]);
        let (audited, enforced) = (10, 11);
        let part = |set, policy| (SetPolicy { set, policy }, 0_u32);
        pinned.put(tables::SET_POLICIES, [part(audited, 1), part(audited, 2), part(enforced, 3)]);
        let policing = Policing { class: 0, ingress: audited | Policing::AUDIT, egress: enforced };
        let identity = Identity { next: policing, ..Identity::default() };
        pinned.put(tables::IDENTITIES, [(Addr::from(ip("10.0.0.7")), identity)]);
        let names = names(&pinned);
        let isolating = |at, direction| -> Vec<String> {
            Names::isolating(&names, ip(at), direction).into_iter().map(|policy| policy.policy).collect()
        };
        assert_eq!(isolating("10.0.0.7", Direction::Ingress), ["a", "b"]);
        assert_eq!(isolating("10.0.0.7", Direction::Egress), ["out"]);
        assert!(isolating("10.0.0.8", Direction::Ingress).is_empty());
        assert_eq!(names.policy(3).map(|policy| policy.namespace), Some("default".into()));
        assert_eq!(names.policy(4), None);
    }
}
