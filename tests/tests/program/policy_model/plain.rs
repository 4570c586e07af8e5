//! The shared decision on plain tables.

use lab::policy::reference::Rule as ReferenceRule;
use lab::policy::reference::node_of;
use lab::policy::{Connection, Decision, Protocol};
use proxy_common::addr::{Port, protocol};
use proxy_common::policy::{Question, Ruling, judge, ruling_flags};
use proxy_common::tables::Rule;

use super::cluster::Cluster;
use super::node::Node;
use super::{Asked, Judge};

#[derive(Default)]
pub(super) struct Plain;

/// ICMP's number: any that has no ports would do.
const OTHER: u8 = 1;

impl Judge for Plain {
    fn judge(&mut self, cluster: &Cluster, asked: &Asked) -> Result<(), String> {
        let Asked { connection, expected, .. } = asked;
        let mut said = Vec::new();
        for node in &cluster.nodes {
            let mut ruling = Ruling::default();
            let is_own = node.addresses.contains(&connection.from);
            let outcome = judge(&node.tables, &question(*connection, is_own), &mut ruling);
            said.push((node, outcome, ruling));
        }
        if said.iter().all(|(_, outcome, _)| outcome.is_ok()) != expected.is_allowed() {
            let said: Vec<_> = said.iter().map(|(node, outcome, ruling)| (&node.name, outcome, ruling)).collect();
            return Err(format!("{said:?}"));
        }
        for (node, _, ruling) in said.iter().filter(|_| expected.is_allowed()) {
            let is_here = |end| node_of(asked.objects, end) == Some(&node.name);
            let egress = is_here(connection.from).then_some(&expected.egress);
            let ingress = is_here(connection.to).then_some(&expected.ingress);
            is_explained(node, egress, ruling.egress, ruling.flags & ruling_flags::AUDIT_EGRESS != 0)
                .and_then(|()| {
                    is_explained(node, ingress, ruling.ingress, ruling.flags & ruling_flags::AUDIT_INGRESS != 0)
                })
                .map_err(|what| format!("{}: {what}: {ruling:?}", node.name))?;
        }
        Ok(())
    }
}

/// Whether some node denies a connection.
pub(super) fn denied(cluster: &Cluster, connection: Connection) -> bool {
    cluster.nodes.iter().any(|node| {
        let question = question(connection, node.addresses.contains(&connection.from));
        judge(&node.tables, &question, &mut Ruling::default()).is_err()
    })
}

/// Whether the verdict of an end names what let the connection pass; nothing, where the end is another node's.
fn is_explained(node: &Node, decision: Option<&Decision>, rule: Rule, is_audited: bool) -> Result<(), String> {
    if is_audited != (decision == Some(&Decision::Audited)) {
        return Err(format!("audited: {is_audited}"));
    }
    let named = match rule.policy {
        0 => None,
        number => {
            let (namespace, policy) = node.policy_name(number).ok_or("a policy without a name")?;
            Some(ReferenceRule { namespace, policy, index: (rule.index & !Rule::EGRESS) as usize })
        }
    };
    match (decision, named) {
        // What needs no rule may still have one.
        (Some(Decision::OwnNode), _) | (None | Some(_), None) if !matches!(decision, Some(Decision::Allowed(_))) => {
            Ok(())
        }
        (Some(Decision::Allowed(rules)), Some(named)) if rules.contains(&named) => Ok(()),
        (_, named) => Err(format!("allowed by {named:?}")),
    }
}

pub(super) fn question(connection: Connection, from_node: bool) -> Question {
    Question {
        src: connection.from.into(),
        dst: connection.to.into(),
        protocol: u32::from(number(connection.protocol)),
        port: Port::new(connection.port),
        from_node: from_node.into(),
    }
}

pub(super) fn number(protocol: Protocol) -> u8 {
    match protocol {
        Protocol::Tcp => protocol::TCP,
        Protocol::Udp => protocol::UDP,
        Protocol::Sctp => protocol::SCTP,
        Protocol::Other => OTHER,
    }
}
