//! What Services promise: naive, without tables.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use super::Outcome;
use super::story::{Client, Endpoint, Ends, Frontend, Packet, Protocol, Service, Step, Story, client, in_range, node};

/// A flow under way.
struct Flow {
    protocol: Protocol,
    /// As the client sends.
    sent: Ends,
    /// As the backend receives.
    received: Ends,
    client: Client,
    endpoint: Endpoint,
}

/// The model's idea of the node.
pub(super) struct Reference<'a> {
    story: &'a Story,
    flows: Vec<Flow>,
    /// The endpoint that a client is bound to, through whichever frontend of a Service port (named by its ClusterIP).
    bound: BTreeMap<(SocketAddr, Protocol, IpAddr), Endpoint>,
    /// What was last staged: the flow answered, or the client that sends.
    staged: Staged,
}

#[derive(Clone, Copy)]
enum Staged {
    Send(Client),
    Answer(usize),
}

impl<'a> Reference<'a> {
    pub(super) fn new(story: &'a Story) -> Self {
        Self { story, flows: Vec::new(), bound: BTreeMap::new(), staged: Staged::Send(Client::Pod) }
    }

    /// The packet of a step, and the hook it meets.
    pub(super) fn stage(&mut self, step: &Step) -> Option<(&'static str, Packet)> {
        match *step {
            Step::Send { client: from, host, port, service, frontend, miss, protocol, opens } => {
                self.staged = Staged::Send(from);
                let service = &self.story.services[service];
                let mut dst = match frontend {
                    Frontend::ClusterIp => service.cluster_ip,
                    Frontend::NodePort => (node(self.story.ipv6), service.node_port).into(),
                    Frontend::Balancer => service.balancer,
                };
                if miss {
                    dst.set_port(9);
                }
                let src = (client(self.story.ipv6, from, host), port).into();
                let hook = match from {
                    Client::Pod => "from_pod",
                    Client::Node => "to_uplink",
                    Client::Outside => "from_uplink",
                };
                Some((hook, Packet { ends: Ends { src, dst }, protocol, opens: opens || protocol != Protocol::Tcp }))
            }
            Step::Answer { flow } => {
                let index = flow.checked_rem(self.flows.len())?;
                self.staged = Staged::Answer(index);
                let flow = &self.flows[index];
                let itself = flow.received.dst.ip() == flow.sent.src.ip();
                let hook = match flow.client {
                    Client::Pod if !itself => "to_pod",
                    _ if flow.endpoint.local => "from_pod",
                    _ => "from_uplink",
                };
                Some((hook, Packet { ends: flow.received.reversed(), protocol: flow.protocol, opens: false }))
            }
        }
    }

    /// Whether the outcome is one that Services promise.
    pub(super) fn judge(&mut self, packet: Packet, outcome: Outcome) -> Result<(), String> {
        match self.staged {
            Staged::Answer(index) => {
                let expected = Outcome::Translated(self.flows[index].sent.reversed());
                if outcome == expected { Ok(()) } else { Err(format!("a reply must become {expected:?}")) }
            }
            Staged::Send(from) => self.judge_sent(packet, from, outcome),
        }
    }

    fn judge_sent(&mut self, packet: Packet, from: Client, outcome: Outcome) -> Result<(), String> {
        let exactly = |expected: Outcome| {
            if outcome == expected { Ok(()) } else { Err(format!("it must be {expected:?}")) }
        };
        if let Some(flow) = self.flows.iter().find(|flow| flow.sent == packet.ends && flow.protocol == packet.protocol)
        {
            return exactly(Outcome::Translated(flow.received));
        }
        let Some((service, frontend)) = self.service_at(packet) else {
            // A ClusterIP is nobody else's: what no port of it takes is refused.
            let refused = self.story.services.iter().any(|service| service.cluster_ip.ip() == packet.ends.dst.ip());
            return exactly(if refused { Outcome::Refused } else { Outcome::Untouched });
        };
        // Who may not is told nothing.
        if frontend == Frontend::Balancer && service.ranges && !in_range(self.story.ipv6, packet.ends.src.ip()) {
            return exactly(Outcome::Dropped);
        }
        if !packet.opens {
            return exactly(Outcome::Refused);
        }
        // The node and its pods are inside the cluster: no client address is to be kept for them.
        let local_only = if frontend == Frontend::ClusterIp {
            service.internal_local
        } else {
            service.external_local && from == Client::Outside
        };
        let served: Vec<Endpoint> =
            service.endpoints.iter().copied().filter(|endpoint| endpoint.local || !local_only).collect();
        if service.endpoints.is_empty() {
            return exactly(Outcome::Refused);
        }
        if served.is_empty() {
            return exactly(Outcome::Dropped);
        }
        let Outcome::Translated(received) = outcome else { return Err("it must be translated".into()) };
        let Some(endpoint) = served.iter().copied().find(|endpoint| endpoint.addr == received.dst) else {
            return Err("no endpoint of the set that serves it".into());
        };
        if service.affinity {
            let client = (service.cluster_ip, packet.protocol, packet.ends.src.ip());
            let bound = self.bound.insert(client, endpoint);
            if bound.is_some_and(|bound| bound != endpoint && served.contains(&bound)) {
                return Err(format!("the client is bound to {bound:?}"));
            }
        }
        self.judge_source(packet, from, endpoint, received)?;
        self.flows.push(Flow { protocol: packet.protocol, sent: packet.ends, received, client: from, endpoint });
        Ok(())
    }

    fn judge_source(&self, packet: Packet, from: Client, endpoint: Endpoint, received: Ends) -> Result<(), String> {
        let node = node(self.story.ipv6);
        let client = packet.ends.src.ip();
        let expected = match from {
            Client::Pod if endpoint.addr.ip() == client => node,
            Client::Outside if !endpoint.local => node,
            _ => client,
        };
        if received.src.ip() != expected {
            return Err(format!("its source must be {expected}"));
        }
        if self.flows.iter().any(|flow| flow.received == received && flow.protocol == packet.protocol) {
            return Err("another flow has these ends already: replies can't be told apart".into());
        }
        let own_port = Ends { src: (expected, packet.ends.src.port()).into(), dst: received.dst };
        let own_is_free = !self.flows.iter().any(|flow| flow.received == own_port && flow.protocol == packet.protocol);
        if own_is_free && received != own_port {
            return Err("its source port was free".into());
        }
        Ok(())
    }

    /// The Service at a packet's destination, and which frontend that is.
    fn service_at(&self, packet: Packet) -> Option<(&'a Service, Frontend)> {
        let dst = packet.ends.dst;
        if packet.protocol == Protocol::Echo {
            return None;
        }
        self.story.services.iter().find_map(|service| {
            let frontend = match dst {
                dst if dst == service.cluster_ip => Frontend::ClusterIp,
                dst if dst == service.balancer => Frontend::Balancer,
                dst if dst == (node(self.story.ipv6), service.node_port).into() => Frontend::NodePort,
                _ => return None,
            };
            Some((service, frontend))
        })
    }
}
