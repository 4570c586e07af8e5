//! What NetworkPolicy makes of a connection at each place that it may get to, and why.

use std::cell::OnceCell;

use proxy_common::addr::{Addr, Port};
use proxy_common::drop::{Reason, Stop};
use proxy_common::policy::{self, EVERYBODY, PolicyTables, Ruling, ruling_flags};
use proxy_common::service::Client;
use proxy_common::tables::{Identity, Policing, Rule, RuleKey};

use super::decide::{Choice, Decision, Question};
use super::explanation::{Nearest, PolicyDecision, PolicyVerdict, Side, SideDecision};
use super::nearest::nearest;
use super::one_side::OneSide;
use crate::cli::names::socket_addr;
use crate::cli::policies::{Direction, Policies};
use crate::dataplane::ebpf::read::{Overlay, Pinned, ReadError};
use crate::reason::meaning;
use crate::status::AgentStatus;

/// Where the connection may get to.
struct Destination {
    addr: Addr,
    port: Port,
    /// The client's address as it is seen there.
    seen: Addr,
}

/// The verdict for each place that the connection may get to; none where it gets nowhere, or doesn't leave the client.
pub(super) fn verdicts(
    pinned: &Pinned,
    agent: Option<&AgentStatus>,
    question: &Question,
    decision: &Decision,
) -> Result<Vec<PolicyVerdict>, ReadError> {
    let judge = Judge { pinned, agent, policies: Policies::read(pinned)?, question, rules: OnceCell::new() };
    destinations(question, decision).iter().map(|destination| judge.verdict(destination)).collect()
}

fn destinations(question: &Question, decision: &Decision) -> Vec<Destination> {
    let asked_for = || vec![Destination { addr: question.to, port: question.port, seen: question.source }];
    match decision {
        _ if question.to.is_loopback() && question.client != Client::Node => Vec::new(),
        Decision::NoFrontend(Stop::Drop(reason)) if !is_policy(*reason) => Vec::new(),
        Decision::NoFrontend(_) | Decision::Parted => asked_for(),
        Decision::Frontend(frontend) => {
            let place = |Choice { record, .. }: &Choice| Destination {
                addr: record.dst,
                port: record.dst_port,
                seen: record.src,
            };
            frontend.choices.iter().map(place).collect()
        }
    }
}

const fn is_policy(reason: Reason) -> bool {
    matches!(reason, Reason::PolicyEgress | Reason::PolicyIngress | Reason::UnknownPod | Reason::PolicyChanging)
}

struct Judge<'a> {
    pinned: &'a Pinned,
    agent: Option<&'a AgentStatus>,
    policies: Policies,
    question: &'a Question,
    /// `RULES`, read once where a verdict needs them all.
    rules: OnceCell<Vec<(RuleKey, u32, Rule)>>,
}

/// One end, as one direction's judge sees it.
struct End {
    direction: Direction,
    identity: Option<Identity>,
    is_node: bool,
    ruling: Ruling,
    judged: Result<(), Reason>,
}

impl Judge<'_> {
    fn verdict(&self, to: &Destination) -> Result<PolicyVerdict, ReadError> {
        let asked = self.asked(to);
        let (tables, mut ruling) = (Overlay::new(self.pinned), Ruling::default());
        // What the node itself sends is asked about nowhere.
        let judged = if self.is_by_node() { Ok(()) } else { tables.judge(&asked, &mut ruling) };
        tables.check()?;
        let [egress, ingress] = [Direction::Egress, Direction::Ingress].map(|direction| self.side(direction, to));
        let (egress, ingress) = (egress?, ingress?);
        let elsewhere = [&egress, &ingress].iter().any(|side| side.decision == SideDecision::Elsewhere);
        let audited = ruling.flags & (ruling_flags::AUDIT_EGRESS | ruling_flags::AUDIT_INGRESS) != 0;
        let (verdict, message) = match judged {
            Err(reason) => (PolicyDecision::Denied, meaning(reason)),
            Ok(()) if audited => {
                (PolicyDecision::Audited, "it passes and is reported: no rule allows it, and none is enforced")
            }
            Ok(()) if elsewhere => (PolicyDecision::Allowed, "as far as this node decides"),
            Ok(()) => (PolicyDecision::Allowed, "by both ends"),
        };
        let pod = self.agent.and_then(|agent| agent.pod_at(to.addr.into())).map(ToString::to_string);
        let destination = socket_addr(to.addr, to.port);
        let reason = judged.err().map(Reason::name);
        Ok(PolicyVerdict { destination, pod, verdict, reason, message, egress, ingress })
    }

    fn asked(&self, to: &Destination) -> policy::Question {
        policy::Question {
            src: self.question.source,
            dst: to.addr,
            protocol: self.question.protocol.into(),
            port: to.port,
            from_node: u16::from(self.is_by_node()),
        }
    }

    fn is_by_node(&self) -> bool {
        self.question.client == Client::Node
    }

    fn rules(&self) -> Result<&[(RuleKey, u32, Rule)], ReadError> {
        if let Some(rules) = self.rules.get() {
            return Ok(rules);
        }
        let rules = self.pinned.policies.rules.entries()?;
        Ok(self.rules.get_or_init(|| rules))
    }

    /// What one direction makes of it.
    fn side(&self, direction: Direction, to: &Destination) -> Result<Side, ReadError> {
        let asked = self.asked(to);
        let tables = Overlay::new(self.pinned);
        let mut ruling = Ruling::default();
        let judged = OneSide { tables: &tables, direction }.judge(&asked, &mut ruling);
        let (end, peer) = match direction {
            Direction::Ingress => (asked.dst, asked.src),
            Direction::Egress => (asked.src, asked.dst),
        };
        let identity = tables.identity(&end);
        let end = End { direction, identity, is_node: tables.is_node(&end), ruling, judged };
        let set = end.set();
        let (decision, because) = self.decide(&end, to);
        let nearest = if matches!(decision, SideDecision::Denied | SideDecision::Audited) {
            let class = class(&tables, &peer, ruling.generation);
            nearest(self.rules()?, &self.policies, set, class, &asked)
        } else {
            Nearest::default()
        };
        tables.check()?;
        let rule = end.rule();
        Ok(Side {
            decision,
            because,
            policies: self.policies.names_of_set(set),
            audit: set & Policing::AUDIT != 0,
            rule: (rule.policy != 0).then(|| self.policies.rule(rule)),
            nearest,
        })
    }

    fn decide(&self, end: &End, to: &Destination) -> (SideDecision, String) {
        let told = |decision, because: &str| (decision, because.to_owned());
        let is_source = end.direction == Direction::Egress;
        if self.is_by_node() && (is_source || end.is_local()) {
            let because = if is_source { "the node is no pod" } else { "its own node always reaches it" };
            return told(SideDecision::Exempt, because);
        }
        if !end.is_local() {
            return match end.judged {
                _ if end.is_node => told(SideDecision::Exempt, "an address of this node, which is no pod"),
                Err(Reason::UnknownPod) if end.identity.is_none() => {
                    told(SideDecision::Held, meaning(Reason::UnknownPod))
                }
                _ if !is_source && to.seen != self.question.source => {
                    (SideDecision::Elsewhere, format!("its own node decides, and sees {} as the client", to.seen))
                }
                _ => told(SideDecision::Elsewhere, "no pod of this node: if it is one, its own node decides"),
            };
        }
        if end.set() == 0 {
            return told(SideDecision::NotIsolated, "no NetworkPolicy isolates it");
        }
        let rule = end.rule();
        match end.judged {
            Ok(()) if rule.policy != 0 => (SideDecision::Allowed, format!("allowed by {}", self.policies.rule(rule))),
            Ok(()) if end.is_audited() => told(SideDecision::Audited, "no rule allows it, which is only reported"),
            Ok(()) if self.question.source == to.addr => told(SideDecision::Exempt, "a pod always reaches itself"),
            Ok(()) => told(SideDecision::Exempt, "a pod always reaches its own node"),
            Err(Reason::UnknownPod) => told(SideDecision::Held, "its peer is no pod that is known, yet"),
            Err(Reason::PolicyChanging) => told(SideDecision::Denied, meaning(Reason::PolicyChanging)),
            Err(_) => told(SideDecision::Denied, "no rule allows it"),
        }
    }
}

impl End {
    fn is_local(&self) -> bool {
        self.identity.is_some_and(|identity| identity.is_local())
    }

    /// The set that isolates it; 0 where none does.
    fn set(&self) -> u32 {
        let local = self.identity.filter(Identity::is_local);
        local.map_or(0, |identity| self.direction.set(&identity.at(self.ruling.generation)))
    }

    const fn rule(&self) -> Rule {
        match self.direction {
            Direction::Ingress => self.ruling.ingress,
            Direction::Egress => self.ruling.egress,
        }
    }

    const fn is_audited(&self) -> bool {
        self.ruling.flags & (ruling_flags::AUDIT_EGRESS | ruling_flags::AUDIT_INGRESS) != 0
    }
}

/// What an address is as a peer.
fn class(tables: &impl PolicyTables, addr: &Addr, generation: u32) -> u32 {
    match tables.identity(addr) {
        Some(identity) => identity.at(generation).class,
        None => tables.block(addr).map_or(EVERYBODY, |block| block.at(generation)),
    }
}
