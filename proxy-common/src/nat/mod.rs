//! What happens to a packet of a Service: the flow it belongs to, or the flow it opens.
//!
//! A flow is two records. The client's direction maps the packet as the client sent it to what the backend gets, the
//! reply's direction the other way round; key and record of one hold all that those of the other do, so each can be
//! rebuilt from the other. New flows stand in an LRU table, so that a flood of them evicts only its like; they move to
//! a table that evicts nothing once the client goes on after an answer, which no flood of first packets does.

use crate::addr::{Addr, Port, protocol};
use crate::drop::{Reason, Stop};
use crate::flow::{State, expired, is_reply};
use crate::packet::{Kind, Packet};
use crate::service::{Client, ServiceTables, choose, find};
use crate::tables::{Backend, FlowKey, FlowRecord, MemberKey, Service, backend_flags, flow_flags};

/// A record where it stands in its table: changes are seen by every CPU.
pub trait FlowEntry {
    /// Copy of the record.
    fn record(&self) -> FlowRecord;
    /// Notes a packet at `now`, in whole seconds of the kernel's monotonic clock.
    fn set_last_seen(&self, now: u32);
    /// Moves the flow along.
    fn set_state(&self, state: State);
    /// Notes that the backend was a member under this value of `EPOCH`.
    fn set_epoch(&self, epoch: u32);
}

/// Outcome of adding a record under a key that must not be taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Added {
    /// It stands there now.
    New,
    /// Another does.
    Taken,
    /// No room.
    Full,
}

/// `FLOWS` and `FLOWS_NEW`.
pub trait FlowTables {
    /// A record in place.
    type Entry: FlowEntry;
    /// Entry of `FLOWS`.
    fn established(&self, key: &FlowKey) -> Option<Self::Entry>;
    /// Entry of `FLOWS_NEW`.
    fn half_open(&self, key: &FlowKey) -> Option<Self::Entry>;
    /// Adds to `FLOWS`, or replaces what stands there.
    fn put_established(&self, key: &FlowKey, record: &FlowRecord) -> Result<(), Reason>;
    /// Adds to `FLOWS_NEW` unless the key is taken there.
    fn add_half_open(&self, key: &FlowKey, record: &FlowRecord) -> Added;
    /// Removes from `FLOWS`, if it is there.
    fn remove_established(&self, key: &FlowKey);
    /// Removes from `FLOWS_NEW`, if it is there.
    fn remove_half_open(&self, key: &FlowKey);
}

/// What source translation needs to know of the node.
pub trait Routes {
    /// The address of the interface by which a packet with this source and destination would leave.
    fn source_towards(&self, packet: &FlowKey) -> Option<Addr>;
    /// A socket of those asked for receives packets with these addresses and ports.
    fn has_socket(&self, packet: &FlowKey, sockets: Sockets) -> bool;
}

/// Where a packet meets us.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Hook {
    /// It comes from a pod.
    FromPod,
    /// It leaves to a pod.
    ToPod,
    /// A program of the node itself sent it, to a pod here and as it is: through no Service.
    FromNodeToPod,
    /// It comes from beyond an uplink.
    FromUplink,
    /// A program of the node itself sent it.
    FromNode,
}

/// Source ports tried for a new flow whose own is taken.
const PORT_ATTEMPTS: u32 = 16;
/// First port that source translation may take.
const FIRST_PORT: u32 = 1_024;

/// Decides about a packet that is to be translated here, by which `record`.
///
/// # Errors
/// Why it is not.
#[inline(always)]
pub fn translate<T: ServiceTables + FlowTables>(
    tables: &T,
    routes: &impl Routes,
    packet: &Packet,
    hook: Hook,
    now: u32,
    record: &mut FlowRecord,
) -> Result<(), Stop> {
    match follow(tables, packet, hook, now, record) {
        Followed::Translate => Ok(()),
        Followed::Leave => Err(Stop::NotOurs),
        Followed::Unknown => open(tables, routes, packet, hook, now, record),
    }
}

/// What is known of a packet's flow.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Followed {
    /// Translate by its record.
    Translate,
    /// Not to be translated at this hook.
    Leave,
    /// No flow is known, or the one known is over.
    Unknown,
}

/// Finds the packet's flow, moves it along, and copies its record to `record`.
#[inline(always)]
pub fn follow<T: ServiceTables + FlowTables>(
    tables: &T,
    packet: &Packet,
    hook: Hook,
    now: u32,
    record: &mut FlowRecord,
) -> Followed {
    let (entry, place) = match tables.established(&packet.key) {
        Some(entry) => (entry, Place::Established),
        None => match tables.half_open(&packet.key) {
            Some(entry) => (entry, Place::HalfOpen),
            None => return Followed::Unknown,
        },
    };
    *record = entry.record();
    advance(tables, &entry, place, packet, hook, now, record)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Established,
    HalfOpen,
}

#[inline(always)]
fn advance<T: ServiceTables + FlowTables>(
    tables: &T,
    entry: &T::Entry,
    place: Place,
    packet: &Packet,
    hook: Hook,
    now: u32,
    record: &mut FlowRecord,
) -> Followed {
    let reply = is_reply(record);
    if !is_translated_at(record, hook) {
        return Followed::Leave;
    }
    if matches!(packet.kind, Kind::IcmpError) {
        return Followed::Translate;
    }
    let state = State::from_number(record.state);
    if !reply && packet.opens() && begins_anew(tables, entry, record, packet, state, now) {
        forget(tables, &packet.key, record);
        return Followed::Unknown;
    }
    let next = state.after(reply, packet.tcp_flags);
    if next != state || record.last_seen != now {
        record.last_seen = now;
        record.state = next as u32;
        move_on(tables, entry, place, &packet.key, record);
    }
    Followed::Translate
}

/// Each direction of a flow is translated at one hook, whichever others its packets meet.
#[inline(always)]
fn is_translated_at(record: &FlowRecord, hook: Hook) -> bool {
    let at_client = is_reply(record) && record.flags & flow_flags::RESTORE_AT_CLIENT != 0;
    match hook {
        Hook::ToPod => at_client,
        Hook::FromNodeToPod => at_client || !is_reply(record),
        Hook::FromPod | Hook::FromUplink | Hook::FromNode => !at_client,
    }
}

/// The first packet of a new flow between the same addresses and ports, or one whose backend left its Service.
#[inline(always)]
fn begins_anew<T: ServiceTables + FlowTables>(
    tables: &T,
    entry: &impl FlowEntry,
    record: &FlowRecord,
    packet: &Packet,
    state: State,
    now: u32,
) -> bool {
    if (packet.is_syn() && state.is_over()) || is_over(tables, &packet.key, record, now) {
        return true;
    }
    let epoch = tables.epoch();
    if record.epoch == epoch {
        return false;
    }
    // What goes through no Service loses no endpoint.
    let through_service = record.service != 0;
    if through_service && !tables.is_member(&MemberKey::new(record.service, record.dst, record.dst_port)) {
        return true;
    }
    entry.set_epoch(epoch);
    false
}

/// Whether neither direction of a flow saw a packet for longer than its state allows. `record` belongs to `key`.
#[inline(always)]
pub fn is_over<T: FlowTables>(tables: &T, key: &FlowKey, record: &FlowRecord, now: u32) -> bool {
    expired(record, key.protocol, now) && other_is_over(tables, key, record, now)
}

#[inline(never)]
fn other_is_over<T: FlowTables>(tables: &T, key: &FlowKey, record: &FlowRecord, now: u32) -> bool {
    let other = record.reply_key(key.protocol);
    let entry = tables.established(&other).or_else(|| tables.half_open(&other));
    entry.is_none_or(|entry| expired(&entry.record(), key.protocol, now))
}

/// Brings both directions to the state of `record`, which belongs to `key`; at most once a second and at a change of
/// state, so that a packet of a settled flow costs one look-up.
#[inline(never)]
fn move_on<T: FlowTables>(tables: &T, entry: &T::Entry, place: Place, key: &FlowKey, record: &FlowRecord) {
    let state = State::from_number(record.state);
    let other_key = record.reply_key(key.protocol);
    let other = other_direction(key, record);
    entry.set_last_seen(record.last_seen);
    entry.set_state(state);
    match place {
        Place::Established => match tables.established(&other_key) {
            Some(partner) => partner.set_state(state),
            // A half of a pair is never left alone.
            None => drop(tables.put_established(&other_key, &other)),
        },
        Place::HalfOpen if !is_reply(record) && matches!(state, State::Established | State::ClosedByClient) => {
            // When FLOWS is full the pair stays where it is, and tries again in a second.
            if tables.put_established(&other_key, &other).is_ok() {
                if tables.put_established(key, record).is_ok() {
                    tables.remove_half_open(key);
                    tables.remove_half_open(&other_key);
                } else {
                    tables.remove_established(&other_key);
                }
            }
        }
        Place::HalfOpen => match tables.half_open(&other_key) {
            Some(partner) => partner.set_state(state),
            None => {
                tables.add_half_open(&other_key, &other);
            }
        },
    }
}

/// Record of a flow's other direction, whose key is [`FlowRecord::reply_key`].
#[inline(always)]
#[must_use]
pub const fn other_direction(key: &FlowKey, record: &FlowRecord) -> FlowRecord {
    FlowRecord {
        src: key.dst,
        dst: key.src,
        src_port: key.dst_port,
        dst_port: key.src_port,
        service: record.service,
        epoch: record.epoch,
        last_seen: record.last_seen,
        state: record.state,
        flags: record.flags ^ flow_flags::REPLY,
    }
}

/// Removes both directions of a flow. `record` belongs to `key`.
#[inline(never)]
pub fn forget<T: FlowTables>(tables: &T, key: &FlowKey, record: &FlowRecord) {
    let other = record.reply_key(key.protocol);
    tables.remove_established(key);
    tables.remove_established(&other);
    tables.remove_half_open(key);
    tables.remove_half_open(&other);
}

/// Opens a flow when the packet is addressed to a Service, and writes its record to `record`.
///
/// # Errors
/// Why it doesn't.
#[inline(always)]
pub fn open<T: ServiceTables + FlowTables>(
    tables: &T,
    routes: &impl Routes,
    packet: &Packet,
    hook: Hook,
    now: u32,
    record: &mut FlowRecord,
) -> Result<(), Stop> {
    let client = match hook {
        Hook::FromPod => Client::Pod,
        Hook::FromNode | Hook::FromNodeToPod => Client::Node,
        Hook::FromUplink => Client::Outside,
        Hook::ToPod => return Err(Stop::NotOurs),
    };
    if matches!(packet.kind, Kind::IcmpError) {
        return Err(Stop::NotOurs);
    }
    let key = &packet.key;
    match select(tables, packet, client, now, record) {
        Err(Stop::NotOurs) => part(tables, packet, client, now, record)?,
        // The node's own connection, from a port that is also a node port.
        Err(Stop::Drop(Reason::NoConnection)) if is_nodes_own(tables, routes, key) => return Err(Stop::NotOurs),
        selected => selected?,
    }
    if matches!(client, Client::Outside) && is_forged(tables, key) {
        return Err(Stop::NotOurs);
    }
    let source_translated = translates_source(key, record, client);
    if source_translated {
        translate_source(routes, key, record)?;
    }
    reserve(tables, routes, key, record, sockets_to_ask(key, client, source_translated))?;
    Ok(())
}

#[inline(never)]
fn translate_source(routes: &impl Routes, key: &FlowKey, record: &mut FlowRecord) -> Result<(), Reason> {
    record.src = routes.source_towards(&translated(key, record)).ok_or(Reason::NoRoute)?;
    Ok(())
}

/// Whose sockets may already use the source port of a new flow towards its endpoint, past any Service.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sockets {
    /// None that could be asked.
    Nobodys,
    /// Those of the node itself.
    Nodes,
    /// Those of the pod that the packet comes from.
    Pods,
}

/// A client of datagrams is asked for nothing: the socket that sent this one would answer.
#[inline(always)]
fn sockets_to_ask(key: &FlowKey, client: Client, source_translated: bool) -> Sockets {
    let tcp = key.protocol == u32::from(protocol::TCP);
    match client {
        _ if source_translated => Sockets::Nodes,
        Client::Node if tcp => Sockets::Nodes,
        Client::Pod if tcp => Sockets::Pods,
        Client::Node | Client::Pod | Client::Outside => Sockets::Nobodys,
    }
}

/// A connection of the node itself, not through a Service.
#[inline(always)]
fn is_nodes_own(tables: &impl ServiceTables, routes: &impl Routes, key: &FlowKey) -> bool {
    tables.node_address(&key.dst).is_some() && routes.has_socket(key, Sockets::Nodes)
}

/// Comes from outside under an address that only the node itself has. The node's stack drops such a packet as a martian;
/// a flow of it would take the replies to the node's own connections.
#[inline(always)]
fn is_forged(tables: &impl ServiceTables, key: &FlowKey) -> bool {
    key.src.is_loopback() || tables.node_address(&key.src).is_some()
}

/// Writes to `record` the flow to the endpoint that is to serve a packet. A function of its own, as [`reserve`] is,
/// because the stack of a kernel program is 512 bytes for all that call one another.
#[inline(never)]
fn select<T: ServiceTables>(
    tables: &T,
    packet: &Packet,
    client: Client,
    now: u32,
    record: &mut FlowRecord,
) -> Result<(), Stop> {
    let key = &packet.key;
    let Some((frontend, service)) = find(tables, key.dst, key.dst_port, key.protocol as u8) else {
        return Err(Stop::NotOurs);
    };
    if !packet.opens() {
        return Err(Stop::Drop(Reason::NoConnection));
    }
    let (service, backend) = choose(tables, &frontend, service, client)?;
    *record = new_record(key, &service, &backend, client, now);
    finish(tables, record);
    Ok(())
}

/// A packet of no Service may begin a flow between a client and an endpoint that already have one through a Service, from
/// the same source port: the client's kernel sees two destinations, the endpoint would see one. Their replies can only be
/// told apart if the packet's flow is translated too, to another source port; so writes to `record` a flow to where the
/// packet goes anyway.
#[inline(never)]
fn part<T: ServiceTables + FlowTables>(
    tables: &T,
    packet: &Packet,
    client: Client,
    now: u32,
    record: &mut FlowRecord,
) -> Result<(), Stop> {
    if !packet.opens() {
        return Err(Stop::NotOurs);
    }
    let key = &packet.key;
    let reply_key = key.reversed();
    let Some(standing) = tables.established(&reply_key).or_else(|| tables.half_open(&reply_key)) else {
        return Err(Stop::NotOurs);
    };
    *record = standing.record();
    if !is_reply(record) {
        return Err(Stop::NotOurs);
    }
    if State::from_number(record.state).is_over() || is_over(tables, &reply_key, record, now) {
        forget(tables, &reply_key, record);
        return Err(Stop::NotOurs);
    }
    let itself = Backend { addr: key.dst, port: key.dst_port, flags: backend_flags::LOCAL };
    *record = new_record(key, &Service::default(), &itself, client, now);
    finish(tables, record);
    Ok(())
}

/// Adds to a new record what the tables say.
#[inline(always)]
fn finish(tables: &impl ServiceTables, record: &mut FlowRecord) {
    record.epoch = tables.epoch();
    if tables.node_address(&record.dst).is_some() {
        record.flags |= flow_flags::BACKEND_IS_NODE;
    }
}

#[inline(always)]
fn new_record(key: &FlowKey, service: &Service, backend: &Backend, client: Client, now: u32) -> FlowRecord {
    let itself = backend.addr == key.src;
    let restore = match client {
        // A pod that reaches itself answers to the node's address: that reply ends at the node, not at a pod.
        Client::Pod if !itself => flow_flags::RESTORE_AT_CLIENT,
        Client::Node => flow_flags::CLIENT_IS_NODE,
        Client::Pod | Client::Outside => 0,
    };
    FlowRecord {
        src: key.src,
        dst: backend.addr,
        src_port: key.src_port,
        dst_port: backend.port,
        service: service.id,
        epoch: 0,
        last_seen: now,
        state: State::New as u32,
        flags: restore | if backend.is_local() { flow_flags::BACKEND_LOCAL } else { 0 },
    }
}

/// Whether replies come back to this node only if the client's address is replaced by one of its own.
///
/// A client outside is kept where the backend is here, even if no `nodeName` says so: it answers through us. The node itself gets the address of the
/// interface it leaves by, as a direct connection would. A pod of ours is always answered through us; one that reaches
/// itself must not see its own address as the peer's.
#[inline(always)]
fn translates_source(key: &FlowKey, record: &FlowRecord, client: Client) -> bool {
    match client {
        Client::Outside | Client::Node => record.flags & (flow_flags::BACKEND_LOCAL | flow_flags::BACKEND_IS_NODE) == 0,
        Client::Pod => record.dst == key.src,
    }
}

/// The packet with the record's addresses and ports.
#[inline(always)]
#[must_use]
pub const fn translated(key: &FlowKey, record: &FlowRecord) -> FlowKey {
    record.reply_key(key.protocol).reversed()
}

/// Takes a source port under which replies are told from those of every other flow: the client's own if it can be.
#[inline(never)]
fn reserve<T: ServiceTables + FlowTables>(
    tables: &T,
    routes: &impl Routes,
    key: &FlowKey,
    record: &mut FlowRecord,
    sockets: Sockets,
) -> Result<(), Reason> {
    let mut port = FIRST_PORT + tables.random() % (0x1_0000 - FIRST_PORT);
    let mut i = 0;
    while i < PORT_ATTEMPTS {
        i += 1;
        let reply_key = record.reply_key(key.protocol);
        let reply = other_direction(key, record);
        match claim(tables, routes, &reply_key, &reply, sockets) {
            Added::New => return settle(tables, key, record, &reply_key),
            Added::Full => return Err(Reason::FlowTableFull),
            Added::Taken => {}
        }
        record.src_port = Port::new(port as u16);
        port = if port == 0xffff { FIRST_PORT } else { port + 1 };
    }
    Err(Reason::NoSourcePort)
}

#[inline(never)]
fn claim<T: FlowTables>(
    tables: &T,
    routes: &impl Routes,
    key: &FlowKey,
    record: &FlowRecord,
    sockets: Sockets,
) -> Added {
    if tables.established(key).is_some() || (sockets != Sockets::Nobodys && routes.has_socket(key, sockets)) {
        return Added::Taken;
    }
    let added = tables.add_half_open(key, record);
    if !matches!(added, Added::Taken) {
        return added;
    }
    let Some(standing) = tables.half_open(key) else { return Added::Taken };
    let standing = standing.record();
    let ours = standing.src == record.src
        && standing.dst == record.dst
        && standing.src_port == record.src_port
        && standing.dst_port == record.dst_port;
    // The other half of this very flow was evicted and is about to come back, or the holder of the port is long gone.
    if ours {
        Added::New
    } else if is_over(tables, key, &standing, record.last_seen) {
        forget(tables, key, &standing);
        tables.add_half_open(key, record)
    } else {
        Added::Taken
    }
}

/// Adds the client's direction, after the reply's.
#[inline(always)]
fn settle<T: FlowTables>(
    tables: &T,
    key: &FlowKey,
    record: &mut FlowRecord,
    reply_key: &FlowKey,
) -> Result<(), Reason> {
    match tables.add_half_open(key, record) {
        Added::New => Ok(()),
        Added::Full => {
            tables.remove_half_open(reply_key);
            Err(Reason::FlowTableFull)
        }
        // Another CPU opened the same flow in the meantime: its choice stands.
        Added::Taken => {
            if let Some(winner) = tables.half_open(key) {
                *record = winner.record();
            }
            if record.reply_key(key.protocol) != *reply_key {
                tables.remove_half_open(reply_key);
            }
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests;
