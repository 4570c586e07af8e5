//! Objects for tests, and a cluster of them.

use super::super::{Limits, PolicyPlan};
use super::reader::{Verdict, verdict_of};
use crate::model::fixtures::{HERE, labels, pod};
use crate::model::{
    Change, Kind, Namespace, Namespaces, NetworkPolicy, Node, Object, ObjectRef, Peer, Pod, Policies, PolicyMode,
    PolicyPort, PolicyRule, PortMatch, PortRange, Protocol, Requirement, Selector,
};
use crate::plan::{PolicyImage, PolicyWrite};

pub(super) const TCP: u32 = 6;

/// Policies with their tables.
pub(super) struct Cluster {
    pub(super) policies: Policies,
    pub(super) plan: PolicyPlan,
}

impl Cluster {
    pub(super) fn new() -> Self {
        Self::limited(Limits::default())
    }

    /// The pods of this node have addresses of 10.244.1.0/24.
    pub(super) fn limited(limits: Limits) -> Self {
        let policies = Policies::new(HERE, PolicyMode::Enforce);
        let mut it = Self { policies, plan: PolicyPlan::with_limits(PolicyImage::default(), true, limits) };
        it.apply(Object::Node(Node {
            name: HERE.into(),
            labels: labels(&[]),
            internal_ips: Vec::new(),
            pod_cidrs: vec!["10.244.1.0/24".parse().unwrap()],
            terminating: false,
            to_be_deleted: false,
        }));
        it
    }

    pub(super) fn with(objects: impl IntoIterator<Item = Object>) -> Self {
        let mut it = Self::new();
        for object in objects {
            it.apply(object);
        }
        it
    }

    pub(super) fn apply(&mut self, object: Object) -> Vec<PolicyWrite> {
        self.policies.apply(&Change::Apply(object));
        self.plan.update(&mut self.policies)
    }

    pub(super) fn delete(&mut self, kind: Kind, name: &str) -> Vec<PolicyWrite> {
        let it = ObjectRef { kind, namespace: "default".into(), name: name.into() };
        self.policies.apply(&Change::Delete(it));
        self.plan.update(&mut self.policies)
    }

    pub(super) fn image(&self) -> &PolicyImage {
        self.plan.image()
    }

    pub(super) fn judge(&self, src: &str, dst: &str, protocol: u32, port: u16) -> Verdict {
        verdict_of(self.image(), src, dst, protocol, port)
    }

    /// Whether a TCP connection is let pass.
    pub(super) fn passes(&self, src: &str, dst: &str, port: u16) -> bool {
        self.judge(src, dst, TCP, port) == Ok(0)
    }

    pub(super) fn refused(&self) -> Vec<String> {
        self.plan.refused().collect()
    }
}

/// A Pod of this node with the label `app=APP`.
pub(super) fn here(name: &str, app: &str, ip: &str) -> Object {
    Object::Pod(pod(name, app, &[ip]))
}

/// A Pod of another.
pub(super) fn elsewhere(name: &str, app: &str, ip: &str) -> Object {
    Object::Pod(Pod { node_name: Some("node2".into()), ..pod(name, app, &[ip]) })
}

pub(super) fn namespace(name: &str, pairs: &[(&str, &str)]) -> Object {
    let mut labels = labels(pairs);
    labels.insert("kubernetes.io/metadata.name".into(), name.into());
    Object::Namespace(Namespace { name: name.into(), labels, audit: false, defects: Vec::new() })
}

pub(super) fn app(app: &str) -> Selector {
    let is = Requirement::In("app".into(), [app.to_owned()].into());
    Selector { requirements: [is].into() }
}

/// Pods of the policy's namespace.
pub(super) fn of(pods: Selector) -> Peer {
    Peer::Pods { namespaces: Namespaces::Named("default".into()), pods }
}

pub(super) fn block(cidr: &str, except: &[&str]) -> Peer {
    Peer::Block { cidr: cidr.parse().unwrap(), except: except.iter().map(|text| text.parse().unwrap()).collect() }
}

pub(super) fn tcp(port: PortMatch) -> PolicyPort {
    PolicyPort { protocol: Protocol::Tcp, port }
}

pub(super) fn number(port: u16) -> PolicyPort {
    tcp(PortMatch::Range(PortRange { first: port, last: port }))
}

pub(super) fn rule(peers: Option<Vec<Peer>>, ports: Option<Vec<PolicyPort>>) -> PolicyRule {
    PolicyRule { peers, ports }
}

/// A policy of `default` for the Pods with `app=APP`.
pub(super) fn policy(
    name: &str,
    of: &str,
    ingress: Option<Vec<PolicyRule>>,
    egress: Option<Vec<PolicyRule>>,
) -> NetworkPolicy {
    NetworkPolicy {
        namespace: "default".into(),
        name: name.into(),
        pod_selector: app(of),
        ingress,
        egress,
        audit: false,
        defects: Vec::new(),
    }
}

pub(super) fn ingress(name: &str, of: &str, rules: Vec<PolicyRule>) -> Object {
    Object::NetworkPolicy(policy(name, of, Some(rules), None))
}

pub(super) fn egress(name: &str, of: &str, rules: Vec<PolicyRule>) -> Object {
    Object::NetworkPolicy(policy(name, of, None, Some(rules)))
}
