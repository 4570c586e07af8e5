//! Peers of NetworkPolicies.

use k8s_openapi::api::networking::v1::{IPBlock, NetworkPolicyPeer};

use super::defects::Defects;
use super::field::{self, FieldProblem};
use super::selector::selector;
use crate::model::{Namespaces, Peer, Selector};

/// A peer of a policy of `namespace`; `None` where it matches nobody, because something is wrong with it.
pub(super) fn peer(it: &NetworkPolicyPeer, namespace: &str, path: &str, defects: &mut Defects) -> Option<Peer> {
    let has_selector = it.pod_selector.is_some() || it.namespace_selector.is_some();
    match &it.ip_block {
        Some(_) if has_selector => {
            defects.note(&FieldProblem::BesideSelector.at(format!("{path}.ipBlock")));
            None
        }
        Some(it) => block(it, &format!("{path}.ipBlock"), defects),
        None if has_selector => {
            let (pods, is_good) = defects.watch(|defects| pods(it, namespace, path, defects));
            is_good.then_some(pods)
        }
        None => {
            defects.note(&FieldProblem::NoPeer.at(path));
            None
        }
    }
}

fn pods(it: &NetworkPolicyPeer, namespace: &str, path: &str, defects: &mut Defects) -> Peer {
    let mut part = |selector_of: &Option<_>, name: &str| {
        selector_of.as_ref().map(|it| selector(it, &format!("{path}.{name}"), defects))
    };
    let pods = part(&it.pod_selector, "podSelector");
    let namespaces = part(&it.namespace_selector, "namespaceSelector");
    Peer::Pods {
        namespaces: namespaces.map_or_else(|| Namespaces::Named(namespace.to_owned()), Namespaces::Matching),
        pods: pods.unwrap_or_else(Selector::default),
    }
}

/// One bad exception, and nobody knows who was to be excepted: the block is nobody.
fn block(it: &IPBlock, path: &str, defects: &mut Defects) -> Option<Peer> {
    let cidr = defects.check(field::cidr(&it.cidr, || format!("{path}.cidr")));
    let (except, is_good) = defects.watch(|defects| {
        let mut except = Vec::new();
        for (i, text) in it.except.iter().flatten().enumerate() {
            let at = || format!("{path}.except[{i}]");
            let Some(part) = defects.check(field::cidr(text, at)) else { continue };
            if let Some(cidr) = cidr.filter(|cidr| cidr.prefix() >= part.prefix() || !cidr.contains(part.ip())) {
                defects.note(&FieldProblem::NotWithin { except: part, cidr }.at(at()));
            }
            except.push(part);
        }
        except
    });
    Some(Peer::Block { cidr: cidr?, except }).filter(|_| is_good)
}
