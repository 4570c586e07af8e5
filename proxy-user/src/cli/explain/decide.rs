//! Asks the shared decision about a connection, once for each draw that it can make.

use proxy_common::addr::{Addr, Port, protocol};
use proxy_common::drop::Stop;
use proxy_common::flow::is_reply;
use proxy_common::nat::{self, FlowEntry as _, FlowTables as _, Followed, Hook, Routes};
use proxy_common::packet::{Kind, Packet, Part};
use proxy_common::service::{Client, ServiceTables as _, endpoint_set, find};
use proxy_common::tables::{
    Affinity, AffinityKey, EndpointSet, FlowKey, FlowRecord, MemberKey, Service, ServiceKey, flow_flags,
};
use proxy_common::wire::Tcp;

use crate::dataplane::ebpf::read::{Overlay, Pinned, ReadError};

/// A connection to be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Question {
    pub(super) client: Client,
    pub(super) source: Addr,
    pub(super) source_port: Option<Port>,
    pub(super) to: Addr,
    pub(super) port: Port,
    pub(super) protocol: u8,
    pub(super) now: u32,
}

/// What is decided about it.
#[derive(Debug)]
pub(super) enum Decision {
    /// It is no Service's, or refused before any endpoint is asked for.
    NoFrontend(Stop),
    /// It is no Service's, and gets another source port beside a flow through a Service that has the same ends.
    Parted,
    /// It is a Service's.
    Frontend(Frontend),
}

/// What is decided about a connection to a Service port.
#[derive(Debug)]
pub(super) struct Frontend {
    pub(super) key: ServiceKey,
    pub(super) service: Service,
    pub(super) set: EndpointSet,
    pub(super) in_source_range: bool,
    /// What session affinity has noted of the client.
    pub(super) affinity: Option<Affinity>,
    /// Why no endpoint is chosen.
    pub(super) stop: Option<Stop>,
    /// The endpoints that may be chosen.
    pub(super) choices: Vec<Choice>,
    /// The flow from the client's port now.
    pub(super) flow: Option<Flow>,
}

/// An endpoint that may be chosen.
#[derive(Clone, Copy, Debug)]
pub(super) struct Choice {
    /// What the packet becomes.
    pub(super) record: FlowRecord,
    /// How many of the draws choose it.
    pub(super) draws: u32,
    /// Why it doesn't get there all the same.
    pub(super) stop: Option<Stop>,
}

/// A flow that there is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Flow {
    pub(super) record: FlowRecord,
    /// Its next packet goes where the last one went.
    pub(super) goes_on: bool,
    /// Its endpoint may still serve.
    pub(super) is_member: bool,
}

impl Question {
    /// Takes the decision.
    pub(super) fn decide(&self, pinned: &Pinned, routes: &impl Routes) -> Result<Decision, ReadError> {
        let tables = Overlay::new(pinned);
        let found = find(&tables, self.client, self.to, self.port, self.protocol);
        let in_range = found.is_ok_and(|(_, service)| tables.in_source_range(service.id, &self.source));
        let affinity = found.ok().and_then(|(_, service)| tables.affinity(&self.affinity_key(&service)));
        tables.check()?;
        let (key, service) = match found {
            Ok(found) => found,
            Err(Stop::NotOurs) => return self.past_services(pinned, routes),
            Err(stop) => return Ok(Decision::NoFrontend(stop)),
        };
        let set = endpoint_set(&service, self.client);
        let mut frontend = Frontend {
            key,
            service,
            set,
            in_source_range: in_range,
            affinity,
            stop: None,
            choices: Vec::new(),
            flow: self.flow(pinned)?,
        };
        let slots = match set {
            EndpointSet::Cluster => service.cluster,
            EndpointSet::Local => service.local,
        };
        // Where there is no endpoint to draw, or one is fixed, the decision has to be asked all the same.
        for slot in 0..slots.max(1) {
            self.draw(pinned, routes, draw_of(slot, slots.max(1)), &mut frontend)?;
        }
        Ok(Decision::Frontend(frontend))
    }

    fn draw(
        &self,
        pinned: &Pinned,
        routes: &impl Routes,
        random: u32,
        frontend: &mut Frontend,
    ) -> Result<(), ReadError> {
        let tables = Overlay::new(pinned).with_random(random);
        let mut record = FlowRecord::default();
        let opened = nat::open(&tables, routes, &self.packet(None, Tcp::SYN), self.hook(), self.now, &mut record);
        tables.check()?;
        if !record.dst.is_specified() {
            frontend.stop = opened.err();
            return Ok(());
        }
        let same = |choice: &&mut Choice| (choice.record.dst, choice.record.dst_port) == (record.dst, record.dst_port);
        match frontend.choices.iter_mut().find(same) {
            Some(choice) => choice.draws += 1,
            None => frontend.choices.push(Choice { record, draws: 1, stop: opened.err() }),
        }
        Ok(())
    }

    /// What isn't a Service's can still meet a flow that is.
    fn past_services(&self, pinned: &Pinned, routes: &impl Routes) -> Result<Decision, ReadError> {
        let tables = Overlay::new(pinned);
        let packet = self.packet(self.source_port, Tcp::SYN);
        let mut record = FlowRecord::default();
        let opened = nat::open(&tables, routes, &packet, self.hook(), self.now, &mut record);
        tables.check()?;
        Ok(match opened {
            // A policed pod's flow: noted, and left as it is.
            Ok(()) if record.flags & flow_flags::AS_IS != 0 => Decision::NoFrontend(Stop::NotOurs),
            Ok(()) => Decision::Parted,
            Err(stop) => Decision::NoFrontend(stop),
        })
    }

    pub(super) const fn affinity_key(&self, service: &Service) -> AffinityKey {
        AffinityKey { client: self.source, service: service.id }
    }

    fn flow(&self, pinned: &Pinned) -> Result<Option<Flow>, ReadError> {
        let Some(port) = self.source_port else { return Ok(None) };
        let tables = Overlay::new(pinned);
        let packet = self.packet(Some(port), Tcp::ACK);
        let entry = tables.established(&packet.key).or_else(|| tables.half_open(&packet.key));
        let flow = entry.map(|entry| entry.record()).filter(|record| !is_reply(record)).map(|record| {
            let member = MemberKey::new(record.service, record.dst, record.dst_port);
            let followed = nat::follow(&tables, &packet, self.hook(), self.now, &mut FlowRecord::default());
            Flow { record, goes_on: followed == Ok(Followed::Translate), is_member: tables.member(&member).is_some() }
        });
        tables.check()?;
        Ok(flow)
    }

    /// Its packet, from a port that nothing has where none is asked for.
    fn packet(&self, source_port: Option<Port>, flags: u8) -> Packet {
        let key = FlowKey {
            src: self.source,
            dst: self.to,
            src_port: source_port.unwrap_or_default(),
            dst_port: self.port,
            protocol: self.protocol.into(),
        };
        let tcp_flags = if self.protocol == protocol::UDP { 0 } else { flags };
        let family = self.to.family();
        Packet {
            key,
            from: key.src,
            family,
            kind: Kind::Transport,
            tcp_flags,
            ttl: 64,
            checksum: 0,
            l3: 0,
            l4: 0,
            inner_l4: 0,
            part: Part::Whole,
            fragment_id: 0,
            fragment_protocol: 0,
        }
    }

    /// Where the path meets it.
    pub(super) const fn hook(&self) -> Hook {
        match self.client {
            Client::Pod => Hook::FromPod,
            Client::Node => Hook::FromNode,
            Client::Outside => Hook::FromUplink,
        }
    }
}

impl Choice {
    /// On this node: by its `nodeName`, or because it is the node.
    pub(super) const fn is_local(&self) -> bool {
        self.record.flags & (flow_flags::BACKEND_LOCAL | flow_flags::BACKEND_IS_NODE) != 0
    }
}

/// The least random number that chooses `slot` of so many: the decision takes the upper half of their product.
fn draw_of(slot: u32, slots: u32) -> u32 {
    let draw = (u64::from(slot) << 32).div_ceil(u64::from(slots));
    u32::try_from(draw).unwrap_or(u32::MAX)
}
