//! The decision in Kubernetes' names.

use proxy_common::addr::{Addr, protocol};
use proxy_common::drop::{Reason, Stop};
use proxy_common::flow::State as FlowState;
use proxy_common::service::Client;
use proxy_common::tables::{self, address_flags};

use super::decide::{Choice, Decision, Flow, Frontend, Question};
use super::ends::Names;
use super::explanation::{
    Affinity, Bound, ClientEnd, Endpoint, Explanation, FlowNow, PolicyDecision, PolicyVerdict, ServicePort,
    SourceRanges, Translation, Verdict,
};
use super::place::Place;
use super::routes::Ways;
use super::verdict::verdicts;
use super::why;
use crate::cli::clock;
use crate::cli::get::affinity::State as AffinityState;
use crate::cli::names::{FrontendType, PortName, cidr, socket_addr};
use crate::config::PolicyDeny;
use crate::dataplane::ebpf::read::{Overlay, Pinned, ReadError};
use crate::reason;
use crate::status::AgentStatus;

/// What is known beside the decision.
pub(super) struct Facts<'a, R> {
    pub(super) pinned: &'a Pinned,
    pub(super) agent: Option<&'a AgentStatus>,
    pub(super) names: &'a Names<'a>,
    pub(super) routes: &'a R,
}

/// The verdict, why it isn't translated, and both for people.
type Outcome = (Verdict, Option<&'static str>, String);

impl<R: Ways> Facts<'_, R> {
    pub(super) fn tell(
        &self,
        question: &Question,
        place: Place,
        decision: &Decision,
    ) -> Result<Explanation, ReadError> {
        let frontend = match decision {
            Decision::Frontend(frontend) => Some(frontend),
            Decision::NoFrontend(_) | Decision::Parted => None,
        };
        let translation = frontend.map(|it| self.translation(question, it));
        let policy = verdicts(self.pinned, self.agent, question, decision)?;
        let (verdict, reason, message) = self.denied(&policy).map_or_else(|| self.verdict(question, decision), Ok)?;
        Ok(Explanation {
            client: ClientEnd {
                address: question.source.to_string(),
                pod: place.pod,
                place: why::place(place.client),
                because: place.because,
            },
            destination: socket_addr(question.to, question.port),
            protocol: protocol::name(question.protocol),
            verdict,
            reason,
            message,
            service: frontend.map(|it| self.service(question, it)).transpose()?,
            endpoints: frontend.map(|it| self.endpoints(question, it, translation.as_ref())).unwrap_or_default(),
            flow: frontend.and_then(|it| it.flow).map(|flow| flow_now(question, &flow)),
            translation,
            policy,
        })
    }

    /// Where policies deny it wherever it may get to, that is what becomes of it.
    fn denied(&self, policy: &[PolicyVerdict]) -> Option<Outcome> {
        let first = policy.first().filter(|_| policy.iter().all(|it| it.verdict == PolicyDecision::Denied))?;
        let by_rules =
            [Reason::PolicyEgress, Reason::PolicyIngress].map(Reason::name).map(Some).contains(&first.reason);
        let is_told = by_rules && self.agent.is_some_and(|agent| agent.policy_deny == PolicyDeny::Reject);
        let verdict = if is_told { Verdict::Refused } else { Verdict::Dropped };
        Some((verdict, first.reason, format!("{}, as told below", first.message)))
    }

    fn verdict(&self, question: &Question, decision: &Decision) -> Result<Outcome, ReadError> {
        let stop = match decision {
            Decision::NoFrontend(stop) => Some(*stop),
            Decision::Parted => {
                let message =
                    "no Service's; a flow through a Service has the same ends, so it gets another source port";
                return Ok((Verdict::Translated, None, message.into()));
            }
            Decision::Frontend(frontend) => frontend.stop,
        };
        Ok(match stop {
            None => (Verdict::Translated, None, "to an endpoint below".into()),
            Some(Stop::NotOurs | Stop::Held | Stop::LeftToConntrack) => {
                (Verdict::NotTranslated, None, self.left_alone(question)?)
            }
            Some(Stop::Drop(reason)) => {
                let verdict = if reason.is_refusal() { Verdict::Refused } else { Verdict::Dropped };
                (verdict, Some(reason.name()), self.message(question, decision, reason)?)
            }
        })
    }

    /// What an address is that no Service has, or not with this port.
    fn left_alone(&self, question: &Question) -> Result<String, ReadError> {
        let flags = self.pinned.addresses.get(&question.to)?.unwrap_or_default();
        let is_loopback = question.to.is_loopback();
        Ok(if is_loopback && question.client != Client::Node {
            "a loopback address is the client's own: left to it".into()
        } else if flags.is(address_flags::FRONTEND) {
            format!(
                "no Service has this port at this address, which has {}: left to the node's routes",
                self.ports_at(question.to)
            )
        } else if flags.is(address_flags::NODE) || is_loopback {
            "an address of this node, and no node port: left to the node's own programs".into()
        } else {
            "not a Service address: left to the node's routes".into()
        })
    }

    fn message(&self, question: &Question, decision: &Decision, why: Reason) -> Result<String, ReadError> {
        let remedy = match (why, decision) {
            (Reason::NoSuchPort, _) => format!("; it has {}", self.ports_at(question.to)),
            (Reason::NoEndpoints, Decision::Frontend(frontend)) => {
                let port = self.port_name(frontend);
                format!(
                    "; see kubectl get endpointslices -n {} -l kubernetes.io/service-name={}",
                    port.namespace, port.name
                )
            }
            (Reason::NoLocalEndpoints, Decision::Frontend(frontend)) => {
                let policy = why::policy(&frontend.service);
                format!("; other nodes have endpoints: set {policy} to Cluster, or ask where there is one")
            }
            (Reason::SourceRange, Decision::Frontend(frontend)) => {
                format!(": [{}]", self.ranges(frontend.service.id)?.join(", "))
            }
            _ => String::new(),
        };
        Ok(format!("{}{remedy}", reason::meaning(why)))
    }

    /// Ports that Services have at an address.
    fn ports_at(&self, addr: Addr) -> String {
        let at = self.names.frontends.keys().filter(|key| key.addr == addr);
        at.map(|key| format!("{}/{}", key.port, protocol::name(key.protocol))).collect::<Vec<_>>().join(", ")
    }

    fn ranges(&self, service: u32) -> Result<Vec<String>, ReadError> {
        let ranges = self.pinned.source_ranges()?;
        Ok(ranges.iter().filter(|prefix| prefix.range.service == service).map(cidr).collect())
    }

    fn port_name(&self, frontend: &Frontend) -> PortName {
        self.names.ports.get(&frontend.service.id).cloned().unwrap_or_else(PortName::unknown)
    }

    fn service(&self, question: &Question, frontend: &Frontend) -> Result<ServicePort, ReadError> {
        let service = &frontend.service;
        let frontend_type = FrontendType::new(service);
        let source_ranges = if why::has_source_ranges(service) {
            Some(SourceRanges { ranges: self.ranges(service.id)?, has_client: frontend.in_source_range })
        } else {
            None
        };
        Ok(ServicePort {
            name: self.port_name(frontend),
            frontend_type,
            frontend: frontend_type.address(&frontend.key),
            endpoint_set: why::set_name(frontend.set),
            because: why::endpoint_set(service, question.client, frontend.set),
            source_ranges,
            affinity: self.affinity(question, frontend)?,
        })
    }

    fn affinity(&self, question: &Question, frontend: &Frontend) -> Result<Option<Affinity>, ReadError> {
        let service = frontend.service;
        if service.affinity_timeout == 0 {
            return Ok(None);
        }
        let bound = |affinity: tables::Affinity| {
            let tables = Overlay::new(self.pinned);
            let key = question.affinity_key(&service);
            let state = AffinityState::new(&tables, &key, &affinity, &[(service, question.client)], question.now);
            tables.check()?;
            let endpoint = socket_addr(affinity.addr, affinity.port);
            Ok(Bound { endpoint, idle_seconds: clock::since(affinity.last_used, question.now), state })
        };
        let last = frontend.affinity.map(bound).transpose()?;
        Ok(Some(Affinity { timeout_seconds: service.affinity_timeout, last }))
    }

    fn translation(&self, question: &Question, frontend: &Frontend) -> Translation {
        let socket_lb = self.agent.map(|agent| agent.socket_lb);
        // A call can only be refused: what is dropped in silence is left to the path.
        if frontend.stop == Some(Stop::Drop(Reason::NoLocalEndpoints)) {
            return why::in_the_path(question, "what is dropped in silence is dropped there");
        }
        why::translation(question, &frontend.service, socket_lb)
    }

    fn endpoints(&self, question: &Question, frontend: &Frontend, translation: Option<&Translation>) -> Vec<Endpoint> {
        let draws: u32 = frontend.choices.iter().map(|choice| choice.draws).sum();
        let at_socket = translation.is_some_and(|translation| translation.at == why::SOCKET);
        let endpoint = |choice: &Choice| {
            let record = &choice.record;
            let (source, because) = if at_socket {
                self.source_at_socket(question, record.dst)
            } else {
                (Some(record.src), why::source(question, record))
            };
            let stop = choice.stop.filter(|_| !at_socket);
            Endpoint {
                address: socket_addr(record.dst, record.dst_port),
                local: choice.is_local(),
                percent: f64::from(choice.draws) * 100.0 / f64::from(draws),
                source: source.filter(|_| stop.is_none()).map(|addr| addr.to_string()),
                because,
                reason: stop.and_then(|stop| match stop {
                    Stop::Drop(reason) => Some(reason.name()),
                    Stop::NotOurs | Stop::Held | Stop::LeftToConntrack => None,
                }),
            }
        };
        frontend.choices.iter().map(endpoint).collect()
    }

    /// The socket has no address yet: the kernel takes that of the route to the endpoint.
    fn source_at_socket(&self, question: &Question, to: Addr) -> (Option<Addr>, &'static str) {
        match question.client {
            Client::Node => {
                let source = self.routes.to(to.into()).and_then(|hop| hop.source).map(Addr::from);
                (source, "of the route to the endpoint, unless the socket is bound")
            }
            Client::Pod | Client::Outside => (Some(question.source), why::KEPT),
        }
    }
}

fn flow_now(question: &Question, flow: &Flow) -> FlowNow {
    let record = &flow.record;
    FlowNow {
        endpoint: socket_addr(record.dst, record.dst_port),
        state: FlowState::from_number(record.state).name(),
        idle_seconds: clock::since(record.last_seen, question.now),
        message: match (flow.goes_on, flow.is_member) {
            (true, true) => "stays with its endpoint",
            (true, false) => "its endpoint has left the Service: goes on until it ends",
            (false, false) => "its endpoint has left the Service: the next packet goes to another",
            (false, true) => "its time is over: the next packet is the first of another flow",
        },
    }
}
