//! NetworkPolicies: checked as the API server does (pkg/apis/networking/validation).
//!
//! What the API server would refuse doesn't cost the object: it is a defect, and the rest counts such that nothing is more
//! open for it. What can't be understood isolates, and allows nothing: a selector with a bad requirement selects by the others
//! and its policy's rules allow nothing; a bad peer or port matches nothing, and so does a list without a good one. The same
//! holds for values of a wrong type, and for fields that nobody knows.

mod object;

use k8s_openapi::api::networking::v1::{NetworkPolicyPeer, NetworkPolicyPort};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

pub(in crate::objects) use self::object::ApiNetworkPolicy;
use self::object::{EgressRule, IngressRule, List, Spec};
use super::defects::Defects;
use super::field::{self, FieldError, FieldProblem};
use super::peer::peer;
use super::selector::selector;
use super::{meta, syntax};
use crate::model::{NetworkPolicy, PolicyPort, PolicyRule, PortMatch, PortRange, Protocol, Selector};

impl TryFrom<ApiNetworkPolicy> for NetworkPolicy {
    type Error = FieldError;

    fn try_from(object: ApiNetworkPolicy) -> Result<Self, FieldError> {
        let namespace = meta::namespace(&object.metadata)?;
        let name = meta::name(&object.metadata)?;
        let mut defects = Defects::default();
        if !syntax::is_subdomain(&name) {
            let error = FieldProblem::NotASubdomain(name.clone()).at("metadata.name");
            // A name that can be told apart costs nobody the isolation.
            if name.len() > syntax::SUBDOMAIN_MAX || name.contains('\0') {
                return Err(error);
            }
            defects.note(&error);
        }
        let audit = object.metadata.annotations.is_some_and(|it| meta::is_audited(&it, &mut defects));
        let nothing = Spec::default();
        let ((spec, pod_selector), selects_exactly) = defects.watch(|defects| {
            let spec = object.spec.as_ref().and_then(|it| it.get("spec", defects).0).unwrap_or(&nothing);
            (spec, pod_selector(spec, defects))
        });
        let (of_ingress, of_egress) = isolation(spec, &mut defects);
        let ingress =
            rules(spec.ingress.as_ref(), IngressRule::lists, &namespace, ["spec.ingress", "from"], &mut defects);
        let egress = rules(spec.egress.as_ref(), EgressRule::lists, &namespace, ["spec.egress", "to"], &mut defects);
        let counting = |isolation, rules: Vec<_>| match isolation {
            Isolation::None => None,
            Isolation::Named if selects_exactly => Some(rules),
            Isolation::Named | Isolation::Suspected => Some(rules.into_iter().map(allowing_nothing).collect()),
        };
        Ok(Self {
            pod_selector,
            ingress: counting(of_ingress, ingress),
            egress: counting(of_egress, egress),
            namespace,
            name,
            audit,
            defects: defects.into_texts(),
        })
    }
}

fn pod_selector(spec: &Spec, defects: &mut Defects) -> Selector {
    let path = "spec.podSelector";
    let pods = spec.pod_selector.as_ref().and_then(|it| it.get(path, defects).0);
    pods.map(|it| selector(it, path, defects)).unwrap_or_default()
}

/// Why a policy isolates a direction.
#[derive(Clone, Copy)]
enum Isolation {
    /// It doesn't.
    None,
    /// `policyTypes`, or its default, names the direction.
    Named,
    /// Something there that can't be understood may have meant it.
    Suspected,
}

/// What `policyTypes` says of ingress and of egress.
fn isolation(spec: &Spec, defects: &mut Defects) -> (Isolation, Isolation) {
    let path = "spec.policyTypes";
    let Some(types) = spec.policy_types.as_ref().map_or(Some(&[][..]), |it| Some(it.whole(path, defects)?)) else {
        return (Isolation::Suspected, Isolation::Suspected);
    };
    if types.is_empty() {
        let has_egress = spec.egress.as_ref().is_some_and(|it| !it.is_empty_list());
        return (Isolation::Named, if has_egress { Isolation::Named } else { Isolation::None });
    }
    if types.len() > 2 {
        defects.note(&FieldProblem::MoreThanTwo(types.len()).at(path));
    }
    let mut unnamed = Isolation::None;
    for (i, word) in types.iter().enumerate().filter(|(_, word)| !["Ingress", "Egress"].contains(&word.as_str())) {
        let problem = FieldProblem::Unknown { value: word.clone(), expected: "Ingress, Egress" };
        defects.note(&problem.at(format!("{path}[{i}]")));
        unnamed = Isolation::Suspected;
    }
    let direction = |name: &str| if types.iter().any(|word| word == name) { Isolation::Named } else { unnamed };
    (direction("Ingress"), direction("Egress"))
}

/// The rule, which lets nobody through.
fn allowing_nothing(rule: PolicyRule) -> PolicyRule {
    PolicyRule { peers: Some(Vec::new()), ..rule }
}

type Lists<'a> = (Option<&'a List<NetworkPolicyPeer>>, Option<&'a List<NetworkPolicyPort>>);

impl IngressRule {
    fn lists(&self) -> Lists<'_> {
        (self.from.as_ref(), self.ports.as_ref())
    }
}

impl EgressRule {
    fn lists(&self) -> Lists<'_> {
        (self.to.as_ref(), self.ports.as_ref())
    }
}

/// `name` and `peers` are what the list of rules and a rule's list of peers are called.
fn rules<R>(
    list: Option<&List<R>>,
    lists: impl Fn(&R) -> Lists<'_>,
    namespace: &str,
    [name, peers]: [&str; 2],
    defects: &mut Defects,
) -> Vec<PolicyRule> {
    let rules = list.and_then(|it| it.whole(name, defects)).into_iter().flatten().enumerate();
    let rules = rules.map(|(i, it)| {
        let path = format!("{name}[{i}]");
        let (rule, is_whole) = it.get(&path, defects);
        let (from, ports) = rule.map(&lists).unwrap_or_default();
        let rule = PolicyRule {
            ports: some_of(ports, &format!("{path}.ports"), defects, port),
            peers: some_of(from, &format!("{path}.{peers}"), defects, |it, path, defects| {
                peer(it, namespace, path, defects)
            }),
        };
        if is_whole { rule } else { allowing_nothing(rule) }
    });
    rules.collect()
}

/// What is good in a list; `None` only where there is no entry at all, which means everything.
fn some_of<A, T>(
    list: Option<&List<A>>,
    path: &str,
    defects: &mut Defects,
    convert: impl Fn(&A, &str, &mut Defects) -> Option<T>,
) -> Option<Vec<T>> {
    let list = list.filter(|it| !it.is_empty_list())?;
    let entries = list.whole(path, defects).into_iter().flatten().enumerate();
    let good = entries.filter_map(|(i, it)| {
        let path = format!("{path}[{i}]");
        convert(it.whole(&path, defects)?, &path, defects)
    });
    Some(good.collect())
}

fn port(it: &NetworkPolicyPort, path: &str, defects: &mut Defects) -> Option<PolicyPort> {
    let protocol = defects.check(protocol(it.protocol.as_deref(), path));
    let port = defects.check(port_match(it, path));
    Some(PolicyPort { protocol: protocol?, port: port? })
}

fn protocol(name: Option<&str>, path: &str) -> Result<Protocol, FieldError> {
    let field = || format!("{path}.protocol");
    // Unlike elsewhere, an empty word is not the default here.
    match name {
        Some("") => Err(FieldProblem::Missing.at(field())),
        name => field::protocol(name, field),
    }
}

fn port_match(it: &NetworkPolicyPort, path: &str) -> Result<PortMatch, FieldError> {
    let last = it.end_port.map(|last| (last, format!("{path}.endPort")));
    match (&it.port, last) {
        (None, None) => Ok(PortMatch::All),
        (Some(IntOrString::String(name)), None) if syntax::is_port_name(name) => Ok(PortMatch::Name(name.clone())),
        (Some(IntOrString::String(name)), None) => {
            Err(FieldProblem::NotAPortName(name.clone()).at(format!("{path}.port")))
        }
        (None | Some(IntOrString::String(_)), Some((_, field))) => Err(FieldProblem::WithoutPort.at(field)),
        (Some(IntOrString::Int(first)), last) => {
            let first = field::port(*first, || format!("{path}.port"))?;
            let last = last.map(|(last, at)| Ok((field::port(last, || at.clone())?, at))).transpose()?;
            match last {
                None => Ok(PortMatch::Range(PortRange { first, last: first })),
                Some((last, _)) if last >= first => Ok(PortMatch::Range(PortRange { first, last })),
                Some((last, at)) => Err(FieldProblem::BelowPort { last, first }.at(at)),
            }
        }
    }
}

#[cfg(test)]
mod tests;
