//! NetworkPolicies: checked as the API server does (pkg/apis/networking/validation).
//!
//! What the API server would refuse doesn't cost the object: it is a defect, and the rest counts such that nothing is more
//! open for it. What can't be understood isolates, and allows nothing: a selector with a bad requirement selects by the others
//! and its policy's rules allow nothing; a bad peer or port matches nothing, and so does a list without a good one.

use k8s_openapi::api::networking::v1::{
    NetworkPolicy as ApiNetworkPolicy, NetworkPolicyPeer, NetworkPolicyPort, NetworkPolicySpec,
};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::defects::Defects;
use super::field::{self, FieldError, FieldProblem};
use super::peer::peer;
use super::selector::selector;
use super::{meta, syntax};
use crate::model::{NetworkPolicy, PolicyPort, PolicyRule, PortMatch, PortRange, Protocol};

impl TryFrom<ApiNetworkPolicy> for NetworkPolicy {
    type Error = FieldError;

    fn try_from(object: ApiNetworkPolicy) -> Result<Self, FieldError> {
        let namespace = meta::namespace(&object.metadata)?;
        let name = meta::name(&object.metadata)?;
        if !syntax::is_subdomain(&name) {
            return Err(FieldProblem::NotASubdomain(name).at("metadata.name"));
        }
        let mut defects = Defects::default();
        let annotations = object.metadata.annotations.unwrap_or_default();
        let audit = meta::is_audited(&annotations, &mut defects);
        let spec = object.spec.unwrap_or_default();
        let (pod_selector, selects_exactly) =
            defects.watch(|defects| spec.pod_selector.as_ref().map(|it| selector(it, "spec.podSelector", defects)));
        let (of_ingress, of_egress) = isolation(&spec, &mut defects);
        let ingress = spec.ingress.iter().flatten().map(|rule| (rule.from.as_deref(), rule.ports.as_deref()));
        let egress = spec.egress.iter().flatten().map(|rule| (rule.to.as_deref(), rule.ports.as_deref()));
        let ingress = rules(ingress, &namespace, ["spec.ingress", "from"], &mut defects);
        let egress = rules(egress, &namespace, ["spec.egress", "to"], &mut defects);
        let counting = |isolation, rules| match isolation {
            Isolation::None => None,
            Isolation::Named if selects_exactly => Some(rules),
            Isolation::Named | Isolation::Suspected => Some(allowing_nothing(rules)),
        };
        Ok(Self {
            pod_selector: pod_selector.unwrap_or_default(),
            ingress: counting(of_ingress, ingress),
            egress: counting(of_egress, egress),
            namespace,
            name,
            audit,
            defects: defects.into_texts(),
        })
    }
}

/// Why a policy isolates a direction.
#[derive(Clone, Copy)]
enum Isolation {
    /// It doesn't.
    None,
    /// `policyTypes`, or its default, names the direction.
    Named,
    /// A word there that nobody knows may have meant it.
    Suspected,
}

/// What `policyTypes` says of ingress and of egress.
fn isolation(spec: &NetworkPolicySpec, defects: &mut Defects) -> (Isolation, Isolation) {
    let types = spec.policy_types.as_deref().unwrap_or_default();
    if types.is_empty() {
        let has_egress = spec.egress.as_ref().is_some_and(|rules| !rules.is_empty());
        return (Isolation::Named, if has_egress { Isolation::Named } else { Isolation::None });
    }
    if types.len() > 2 {
        defects.note(&FieldProblem::MoreThanTwo(types.len()).at("spec.policyTypes"));
    }
    let mut unnamed = Isolation::None;
    for (i, word) in types.iter().enumerate().filter(|(_, word)| !["Ingress", "Egress"].contains(&word.as_str())) {
        let problem = FieldProblem::Unknown { value: word.clone(), expected: "Ingress, Egress" };
        defects.note(&problem.at(format!("spec.policyTypes[{i}]")));
        unnamed = Isolation::Suspected;
    }
    let direction = |name: &str| if types.iter().any(|word| word == name) { Isolation::Named } else { unnamed };
    (direction("Ingress"), direction("Egress"))
}

/// The rules, each in its place: they isolate, and let nobody through.
fn allowing_nothing(rules: Vec<PolicyRule>) -> Vec<PolicyRule> {
    rules.into_iter().map(|rule| PolicyRule { peers: Some(Vec::new()), ..rule }).collect()
}

type ApiRule<'a> = (Option<&'a [NetworkPolicyPeer]>, Option<&'a [NetworkPolicyPort]>);

/// `list` and `peers` are what the list of rules and a rule's list of peers are called.
fn rules<'a>(
    rules: impl Iterator<Item = ApiRule<'a>>,
    namespace: &str,
    [list, peers]: [&str; 2],
    defects: &mut Defects,
) -> Vec<PolicyRule> {
    let mut rule = |(i, (from, ports)): (usize, ApiRule<'_>)| {
        let path = format!("{list}[{i}]");
        PolicyRule {
            ports: some_of(ports, |i, it| port(it, &format!("{path}.ports[{i}]"), defects)),
            peers: some_of(from, |i, it| peer(it, namespace, &format!("{path}.{peers}[{i}]"), defects)),
        }
    };
    rules.enumerate().map(&mut rule).collect()
}

/// What is good in a list; `None` only where there is no entry at all, which means everything.
fn some_of<A, T>(list: Option<&[A]>, mut convert: impl FnMut(usize, &A) -> Option<T>) -> Option<Vec<T>> {
    let list = list.filter(|list| !list.is_empty())?;
    Some(list.iter().enumerate().filter_map(|(i, it)| convert(i, it)).collect())
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
