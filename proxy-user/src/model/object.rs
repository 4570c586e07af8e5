//! The objects we know, and their names.

use std::fmt;

use super::{EndpointSlice, Endpoints, Namespace, NetworkPolicy, Node, Pod, Service};

/// Namespace and name of a Service.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ServiceRef {
    /// Namespace, a DNS label (63 bytes at most).
    pub namespace: String,
    /// Name, a DNS label (63 bytes at most).
    pub name: String,
}

impl ServiceRef {
    /// The Service `name` of `namespace`.
    #[must_use]
    pub fn new(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }
}

impl fmt::Display for ServiceRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

impl From<&ServiceRef> for ObjectRef {
    fn from(ServiceRef { namespace, name }: &ServiceRef) -> Self {
        Self { kind: Kind::Service, namespace: namespace.clone(), name: name.clone() }
    }
}

/// Kind of an object we use.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Kind {
    /// v1 Namespace.
    Namespace,
    /// v1 Node.
    Node,
    /// v1 Pod.
    Pod,
    /// v1 Service.
    Service,
    /// v1 Endpoints.
    Endpoints,
    /// discovery.k8s.io/v1 EndpointSlice.
    EndpointSlice,
    /// networking.k8s.io/v1 NetworkPolicy.
    NetworkPolicy,
}

impl Kind {
    /// What the API calls a collection of it.
    #[must_use]
    pub const fn resource(self) -> &'static str {
        match self {
            Self::Namespace => "namespaces",
            Self::Node => "nodes",
            Self::Pod => "pods",
            Self::Service => "services",
            Self::Endpoints => "endpoints",
            Self::EndpointSlice => "endpointslices",
            Self::NetworkPolicy => "networkpolicies",
        }
    }
}

/// Which object: kind, namespace and name are unique in a cluster.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ObjectRef {
    /// Kind.
    pub kind: Kind,
    /// Namespace; empty for the kinds that have none.
    pub namespace: String,
    /// Name.
    pub name: String,
}

impl fmt::Display for ObjectRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.namespace.is_empty() {
            write!(f, "{:?} {}", self.kind, self.name)
        } else {
            write!(f, "{:?} {}/{}", self.kind, self.namespace, self.name)
        }
    }
}

/// An object, reduced to what we use of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Object {
    /// A Namespace.
    Namespace(Namespace),
    /// A Node.
    Node(Node),
    /// A Pod.
    Pod(Pod),
    /// A Service.
    Service(Service),
    /// An Endpoints object.
    Endpoints(Endpoints),
    /// An EndpointSlice.
    EndpointSlice(EndpointSlice),
    /// A NetworkPolicy.
    NetworkPolicy(NetworkPolicy),
}

impl Object {
    /// Which object this is.
    #[must_use]
    pub fn object_ref(&self) -> ObjectRef {
        let (kind, namespace, name) = match self {
            Self::Namespace(it) => (Kind::Namespace, "", &it.name),
            Self::Node(it) => (Kind::Node, "", &it.name),
            Self::Pod(it) => (Kind::Pod, it.namespace.as_str(), &it.name),
            Self::Service(it) => (Kind::Service, it.id.namespace.as_str(), &it.id.name),
            Self::Endpoints(it) => (Kind::Endpoints, it.service.namespace.as_str(), &it.service.name),
            Self::EndpointSlice(it) => return it.object_ref(),
            Self::NetworkPolicy(it) => (Kind::NetworkPolicy, it.namespace.as_str(), &it.name),
        };
        ObjectRef { kind, namespace: namespace.to_owned(), name: name.clone() }
    }
}

/// An object came, changed or went.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Change {
    /// The object is now as given.
    Apply(Object),
    /// The object is no more.
    Delete(ObjectRef),
}
