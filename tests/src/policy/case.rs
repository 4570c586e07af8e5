//! What is judged: the objects of a cluster, how they change, and connections.

use std::fmt;
use std::net::IpAddr;

use k8s_openapi::api::core::v1::{Namespace, Node, Pod};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::{Deserialize, Serialize};

/// A cluster, changes that come about one after the other, and what is asked before the first and after each.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Case {
    /// How the agents are started.
    pub settings: Settings,
    /// The objects at the beginning.
    pub objects: Vec<Object>,
    /// What becomes of them.
    pub changes: Vec<Change>,
    /// What is asked.
    pub connections: Vec<Connection>,
}

/// The options of an agent that a verdict depends on.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Settings {
    /// Every policy is only audited (`--policy-mode audit`).
    pub audit: bool,
    /// An address of a node's pod CIDR that no known pod has is held (`--unknown-pods hold`).
    pub hold_unknown: bool,
}

/// An object of the API.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
#[expect(clippy::large_enum_variant, reason = "a test holds a few dozen of them")]
pub enum Object {
    /// A Node.
    Node(Node),
    /// A Namespace.
    Namespace(Namespace),
    /// A Pod.
    Pod(Pod),
    /// A NetworkPolicy.
    NetworkPolicy(NetworkPolicy),
}

impl Object {
    /// Kind, namespace and name.
    #[must_use]
    pub fn key(&self) -> (&'static str, Option<&str>, Option<&str>) {
        let (kind, meta) = match self {
            Self::Node(node) => ("Node", &node.metadata),
            Self::Namespace(namespace) => ("Namespace", &namespace.metadata),
            Self::Pod(pod) => ("Pod", &pod.metadata),
            Self::NetworkPolicy(policy) => ("NetworkPolicy", &policy.metadata),
        };
        let ObjectMeta { namespace, name, .. } = meta;
        (kind, namespace.as_deref(), name.as_deref())
    }
}

/// What becomes of an object.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Change {
    /// It comes, or takes the place of the object of its kind and name.
    Apply(Object),
    /// It goes: the object of its kind and name.
    Delete(Object),
}

/// The objects of a cluster by kind, in the order in which they came.
#[derive(Clone, Debug, Default)]
pub struct Objects {
    /// The nodes.
    pub nodes: Vec<Node>,
    /// The namespaces.
    pub namespaces: Vec<Namespace>,
    /// The pods.
    pub pods: Vec<Pod>,
    /// The policies.
    pub policies: Vec<NetworkPolicy>,
}

impl Objects {
    /// These objects.
    #[must_use]
    pub fn new(objects: &[Object]) -> Self {
        let mut all = Self::default();
        for object in objects {
            all.apply(&Change::Apply(object.clone()));
        }
        all
    }

    /// Has a change come about.
    pub fn apply(&mut self, change: &Change) {
        let (object, comes) = match change {
            Change::Apply(object) => (object, true),
            Change::Delete(object) => (object, false),
        };
        match object {
            Object::Node(node) => put(&mut self.nodes, node, comes, |node| &node.metadata),
            Object::Namespace(namespace) => put(&mut self.namespaces, namespace, comes, |it| &it.metadata),
            Object::Pod(pod) => put(&mut self.pods, pod, comes, |pod| &pod.metadata),
            Object::NetworkPolicy(policy) => put(&mut self.policies, policy, comes, |policy| &policy.metadata),
        }
    }

    /// All of them.
    #[must_use]
    pub fn all(&self) -> Vec<Object> {
        let nodes = self.nodes.iter().cloned().map(Object::Node);
        let namespaces = self.namespaces.iter().cloned().map(Object::Namespace);
        let pods = self.pods.iter().cloned().map(Object::Pod);
        let policies = self.policies.iter().cloned().map(Object::NetworkPolicy);
        nodes.chain(namespaces).chain(pods).chain(policies).collect()
    }
}

/// Replaces the object of this name where it stands, adds it at the end, or removes it.
fn put<T: Clone>(list: &mut Vec<T>, object: &T, comes: bool, meta: impl Fn(&T) -> &ObjectMeta) {
    let (of, name) = (&meta(object).namespace, &meta(object).name);
    let place = list.iter().position(|other| meta(other).namespace == *of && meta(other).name == *name);
    match (place, comes) {
        (Some(place), true) => list[place] = object.clone(),
        (Some(place), false) => drop(list.remove(place)),
        (None, true) => list.push(object.clone()),
        (None, false) => {}
    }
}

/// The first packet of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Connection {
    /// Who opens it.
    pub from: IpAddr,
    /// To whom.
    pub to: IpAddr,
    /// By which protocol.
    pub protocol: Protocol,
    /// The destination's port; 0 for a protocol without ports.
    pub port: u16,
}

impl fmt::Display for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} -> {} {:?} port {}", self.from, self.to, self.protocol, self.port)
    }
}

/// A protocol that policies tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
    /// One without ports, as ICMP.
    Other,
}
