//! NetworkPolicy v1 as its API reference tells it, read naively: objects and a connection in, a verdict out. Quotations
//! are from the reference of `NetworkPolicySpec` and what it holds, and from the concept page "Network Policies".
//!
//! Whoever judges faster is judged by this. So there are no tables here, no indices and no numbers, every question walks
//! through all objects, and nothing is shared with the product.

use std::fmt;
use std::net::IpAddr;

use k8s_openapi::api::core::v1::{Container, Node, Pod};
use k8s_openapi::api::networking::v1::{IPBlock, NetworkPolicy, NetworkPolicyPeer, NetworkPolicyPort};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::case::{Connection, Objects, Protocol, Settings};
use super::selector::{self, Labels};

/// "For a connection from a source pod to a destination pod to be allowed, both the egress policy on the source pod and
/// the ingress policy on the destination pod need to allow the connection."
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// What the source's end says.
    pub egress: Decision,
    /// What the destination's end says.
    pub ingress: Decision,
}

impl Verdict {
    /// Whether the connection comes about.
    #[must_use]
    pub fn is_allowed(&self) -> bool {
        self.egress.is_allowed() && self.ingress.is_allowed()
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "egress: {:?}, ingress: {:?}", self.egress, self.ingress)
    }
}

/// What one end says, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// This end is no pod, or one of the host network: "the behaviour is undefined", and ours is that of the node.
    NoPod,
    /// A pod reaches itself: "a pod cannot block access to itself".
    Itself,
    /// "Traffic to and from the node where a Pod is running is always allowed."
    OwnNode,
    /// No policy isolates the pod in this direction.
    NotIsolated,
    /// Rules that allow it.
    Allowed(Vec<Rule>),
    /// No rule allows it, of policies that are all audited only.
    Audited,
    /// No rule allows it.
    Denied,
    /// Nobody knows yet whose address of a node's pods this is.
    Held,
}

impl Decision {
    /// Whether the connection passes this end.
    #[must_use]
    pub fn is_allowed(&self) -> bool {
        !matches!(self, Self::Denied | Self::Held)
    }
}

/// A rule of a policy's `ingress` or `egress`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// The policy's namespace.
    pub namespace: String,
    /// The policy's name.
    pub policy: String,
    /// Its place in the list.
    pub index: usize,
}

/// A direction, as `policyTypes` names it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    Ingress,
    Egress,
}

/// Judges a connection.
#[must_use]
pub fn verdict(objects: &Objects, settings: Settings, connection: Connection) -> Verdict {
    let world = World { objects, settings, connection };
    Verdict {
        egress: world.decide(Direction::Egress, connection.from, connection.to),
        ingress: world.decide(Direction::Ingress, connection.to, connection.from),
    }
}

/// The pod that has an address: not of the host network, not finished. A pod that terminates gives way to one that has
/// its address now.
#[must_use]
pub fn pod_of(objects: &Objects, address: IpAddr) -> Option<&Pod> {
    let here = || objects.pods.iter().filter(|pod| is_networked(pod) && addresses(pod).contains(&address));
    here().find(|pod| pod.metadata.deletion_timestamp.is_none()).or_else(|| here().next())
}

/// The node that an address belongs to: its own, or one of its pods'.
#[must_use]
pub fn node_of(objects: &Objects, address: IpAddr) -> Option<&str> {
    if let Some(pod) = pod_of(objects, address) {
        return pod.spec.as_ref()?.node_name.as_deref();
    }
    let node = objects.nodes.iter().find(|node| is_of_node(node, address) || is_in_pod_cidr(node, address))?;
    node.metadata.name.as_deref()
}

struct World<'a> {
    objects: &'a Objects,
    settings: Settings,
    connection: Connection,
}

impl World<'_> {
    /// What the end `own` says to `peer`, where `direction` is the connection's as seen from `own`.
    fn decide(&self, direction: Direction, own: IpAddr, peer: IpAddr) -> Decision {
        let objects = self.objects;
        let own_node = node_of(objects, own)
            .and_then(|name| objects.nodes.iter().find(|node| node.metadata.name.as_deref() == Some(name)));
        let is_own_node = own_node.is_some_and(|node| is_of_node(node, peer));
        let Some(pod) = pod_of(objects, own) else {
            let is_unknown = objects.nodes.iter().any(|node| is_in_pod_cidr(node, own));
            let is_held = is_unknown && self.settings.hold_unknown && !objects.policies.is_empty();
            let is_probe = is_own_node && direction == Direction::Ingress;
            return if is_held && !is_probe { Decision::Held } else { Decision::NoPod };
        };
        if addresses(pod).contains(&peer) {
            return Decision::Itself;
        }
        if is_own_node {
            return Decision::OwnNode;
        }
        let isolating = |audited: bool| {
            let all = objects.policies.iter().filter(move |policy| self.is_audited(policy) == audited);
            all.filter(|policy| isolates(policy, pod, direction)).collect::<Vec<_>>()
        };
        let (enforced, audited) = (isolating(false), isolating(true));
        match (enforced.is_empty(), audited.is_empty()) {
            (true, true) => Decision::NotIsolated,
            (false, _) => self.united(&enforced, direction, pod, peer, Decision::Denied),
            (true, false) => self.united(&audited, direction, pod, peer, Decision::Audited),
        }
    }

    /// "Network policies do not conflict; they are additive": what any rule of any of them allows, is.
    fn united(
        &self,
        policies: &[&NetworkPolicy],
        direction: Direction,
        pod: &Pod,
        peer: IpAddr,
        otherwise: Decision,
    ) -> Decision {
        let mut allowing = Vec::new();
        for policy in policies {
            for (index, (peers, ports)) in rules(policy, direction).into_iter().enumerate() {
                if self.is_peer(policy, peers, peer) && self.is_port(ports, direction, pod, peer) {
                    let policy_name = policy.metadata.name.clone().unwrap_or_default();
                    allowing.push(Rule {
                        namespace: namespace(&policy.metadata).to_owned(),
                        policy: policy_name,
                        index,
                    });
                }
            }
        }
        if allowing.is_empty() { otherwise } else { Decision::Allowed(allowing) }
    }

    /// "If this field is empty or missing, this rule matches all sources": `from`, and `to` alike.
    fn is_peer(&self, policy: &NetworkPolicy, peers: &[NetworkPolicyPeer], address: IpAddr) -> bool {
        peers.is_empty()
            || peers.iter().any(|peer| match (&peer.ip_block, &peer.namespace_selector, &peer.pod_selector) {
                (Some(block), None, None) => is_in_block(block, address),
                (None, None, None) | (Some(_), ..) => false,
                (None, of_namespaces, of_pods) => pod_of(self.objects, address).is_some_and(|pod| {
                    let namespace = namespace(&pod.metadata);
                    // "Otherwise it selects the pods matching podSelector in the policy's own namespace."
                    let is_in_namespace = match of_namespaces {
                        Some(selector) => selector::selects(selector, &self.namespace_labels(namespace)),
                        None => namespace == self::namespace(&policy.metadata),
                    };
                    // "Otherwise it selects all pods in the namespaces selected by namespaceSelector."
                    is_in_namespace
                        && of_pods.as_ref().is_none_or(|selector| selector::selects(selector, &labels(&pod.metadata)))
                }),
            })
    }

    /// "If this field is empty or missing, this rule matches all ports (traffic not restricted by port)."
    fn is_port(&self, ports: &[NetworkPolicyPort], direction: Direction, pod: &Pod, peer: IpAddr) -> bool {
        let destination = match direction {
            Direction::Ingress => Some(pod),
            Direction::Egress => pod_of(self.objects, peer),
        };
        ports.is_empty() || ports.iter().any(|port| is_this_port(port, self.connection, destination))
    }

    /// A namespace's labels; the API server gives each its name as one of them.
    fn namespace_labels(&self, name: &str) -> Labels {
        let object = self.objects.namespaces.iter().find(|namespace| namespace.metadata.name.as_deref() == Some(name));
        let mut labels = object.map(|namespace| labels(&namespace.metadata)).unwrap_or_default();
        labels.insert("kubernetes.io/metadata.name".to_owned(), name.to_owned());
        labels
    }

    fn is_audited(&self, policy: &NetworkPolicy) -> bool {
        let says_audit = |meta: &ObjectMeta| {
            let annotations = meta.annotations.as_ref();
            annotations.and_then(|annotations| annotations.get("sluice.io/policy-mode")).is_some_and(|it| it == "audit")
        };
        let namespace = Some(namespace(&policy.metadata));
        let mut namespaces = self.objects.namespaces.iter();
        self.settings.audit
            || says_audit(&policy.metadata)
            || namespaces.any(|object| object.metadata.name.as_deref() == namespace && says_audit(&object.metadata))
    }
}

/// Whether a policy applies to a pod and "relates to" a direction.
fn isolates(policy: &NetworkPolicy, pod: &Pod, direction: Direction) -> bool {
    // An object without it has an empty one.
    let spec = policy.spec.clone().unwrap_or_default();
    // "An empty podSelector matches all pods in this namespace."
    let is_selected = namespace(&policy.metadata) == namespace(&pod.metadata)
        && spec.pod_selector.as_ref().is_none_or(|selector| selector::selects(selector, &labels(&pod.metadata)));
    // "If this field is not specified, it will default based on the existence of ingress or egress rules; policies that
    // contain an egress section are assumed to affect egress, and all policies [...] to affect ingress." The API server
    // takes an empty list for one that is not there.
    let types = spec.policy_types.as_deref().unwrap_or_default();
    let is_related = match direction {
        _ if !types.is_empty() => types.iter().any(|name| match direction {
            Direction::Ingress => name == "Ingress",
            Direction::Egress => name == "Egress",
        }),
        Direction::Ingress => true,
        Direction::Egress => spec.egress.as_ref().is_some_and(|rules| !rules.is_empty()),
    };
    is_selected && is_related
}

/// Peers and ports of each rule of a direction.
fn rules(policy: &NetworkPolicy, direction: Direction) -> Vec<(&[NetworkPolicyPeer], &[NetworkPolicyPort])> {
    let Some(spec) = &policy.spec else { return Vec::new() };
    match direction {
        Direction::Ingress => {
            let rules = spec.ingress.iter().flatten();
            rules.map(|rule| (list(rule.from.as_ref()), list(rule.ports.as_ref()))).collect()
        }
        Direction::Egress => {
            let rules = spec.egress.iter().flatten();
            rules.map(|rule| (list(rule.to.as_ref()), list(rule.ports.as_ref()))).collect()
        }
    }
}

fn list<T>(field: Option<&Vec<T>>) -> &[T] {
    field.map_or(&[], Vec::as_slice)
}

/// "The except entry describes CIDRs that should not be included within this rule."
fn is_in_block(block: &IPBlock, address: IpAddr) -> bool {
    is_in(&block.cidr, address) && !block.except.iter().flatten().any(|except| is_in(except, address))
}

/// "If present, only traffic on the specified protocol AND port will be matched"; a port may be "a numerical or named
/// port on a pod", and that pod is where the traffic goes to.
fn is_this_port(port: &NetworkPolicyPort, connection: Connection, destination: Option<&Pod>) -> bool {
    // "If not specified, this field defaults to TCP."
    let protocol = port.protocol.as_deref().unwrap_or("TCP");
    if Some(protocol) != name(connection.protocol) {
        return false;
    }
    let is = i32::from(connection.port);
    match (&port.port, port.end_port) {
        // "If this field is not provided, this matches all port names and numbers."
        (None, _) => true,
        (Some(IntOrString::Int(number)), None) => is == *number,
        // "The range of ports from port to endPort if set, inclusive."
        (Some(IntOrString::Int(number)), Some(end)) => (*number..=end).contains(&is),
        (Some(IntOrString::String(name)), _) => destination.is_some_and(|pod| {
            let ports = containers(pod).flat_map(|container| container.ports.iter().flatten());
            let mut named = ports.filter(|port| port.name.as_ref() == Some(name));
            // "Protocol for port. [...] Defaults to TCP."
            named.any(|port| port.protocol.as_deref().unwrap_or("TCP") == protocol && port.container_port == is)
        }),
    }
}

/// The containers whose ports are a pod's: all, and init containers that run on beside them.
fn containers(pod: &Pod) -> impl Iterator<Item = &Container> {
    let init = pod.spec.iter().flat_map(|spec| spec.init_containers.iter().flatten());
    let sidecars = init.filter(|container| container.restart_policy.as_deref() == Some("Always"));
    pod.spec.iter().flat_map(|spec| &spec.containers).chain(sidecars)
}

fn name(protocol: Protocol) -> Option<&'static str> {
    match protocol {
        Protocol::Tcp => Some("TCP"),
        Protocol::Udp => Some("UDP"),
        Protocol::Sctp => Some("SCTP"),
        Protocol::Other => None,
    }
}

/// Whether a pod has a network of its own, and still has it: a finished one's addresses are free for others.
fn is_networked(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    let is_host = pod.spec.as_ref().and_then(|spec| spec.host_network).unwrap_or_default();
    !is_host && !matches!(phase, Some("Succeeded" | "Failed"))
}

/// A pod's addresses.
pub(super) fn addresses(pod: &Pod) -> Vec<IpAddr> {
    let Some(status) = &pod.status else { return Vec::new() };
    let ips = status.pod_ips.iter().flatten().map(|ip| ip.ip.as_str());
    ips.chain(status.pod_ip.as_deref()).filter_map(|ip| ip.parse().ok()).collect()
}

fn is_of_node(node: &Node, address: IpAddr) -> bool {
    let addresses = node.status.iter().flat_map(|status| status.addresses.iter().flatten());
    addresses.filter_map(|it| it.address.parse().ok()).any(|ip: IpAddr| ip == address)
}

fn is_in_pod_cidr(node: &Node, address: IpAddr) -> bool {
    let Some(spec) = &node.spec else { return false };
    // "If this field is specified, the 0th entry must match the podCIDR field."
    let all = spec.pod_cidrs.as_deref().unwrap_or(spec.pod_cidr.as_slice());
    all.iter().any(|cidr| is_in(cidr, address))
}

/// Whether a CIDR holds an address. One family's hold none of the other's.
fn is_in(cidr: &str, address: IpAddr) -> bool {
    cidr.parse().is_ok_and(|cidr: ipnetwork::IpNetwork| cidr.contains(address))
}

fn labels(meta: &ObjectMeta) -> Labels {
    meta.labels.clone().unwrap_or_default()
}

fn namespace(meta: &ObjectMeta) -> &str {
    meta.namespace.as_deref().unwrap_or("default")
}
