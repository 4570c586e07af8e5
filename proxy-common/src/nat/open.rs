//! A packet of no flow that is known: the flow it opens, if any.

use super::as_is::{admit, is_nameless, resume};
use super::source_port::reserve;
use super::verdict::{judge, judges};
use super::{FlowEntry, FlowTables, Hook, Routes, forget, is_over, translated};
use crate::addr::{Addr, protocol};
use crate::drop::{Reason, Stop};
use crate::flow::{State, is_reply};
use crate::packet::{Kind, Packet};
use crate::policy::{PolicyTables, Ruling};
use crate::service::{self, Client, Request, ServiceTables, choose_for, find, find_no_port};
use crate::tables::{Backend, FlowKey, FlowRecord, Service, address_flags, backend_flags, flow_flags};

/// Opens a flow when the packet is addressed to a Service, and writes its record to `record`. What is no Service's is
/// judged as it is, and may be remembered as such.
///
/// # Errors
/// Why it is not translated.
#[inline(always)]
pub fn open<T: ServiceTables + FlowTables + PolicyTables>(
    tables: &T,
    routes: &impl Routes,
    packet: &Packet,
    hook: Hook,
    now: u32,
    record: &mut FlowRecord,
) -> Result<(), Stop> {
    let is_served = client(hook).is_some();
    match if is_served { open_through_service(tables, routes, packet, hook, now, record) } else { Err(Stop::NotOurs) } {
        Ok(()) => Ok(claim(tables, routes, &packet.key, hook, record)?),
        Err(Stop::NotOurs) if judges(tables, hook) => Err(open_as_is(tables, routes, packet, hook, now, record)),
        stopped => stopped,
    }
}

// These are functions of their own so that the stack of one is free again for the next.

#[inline(never)]
fn open_as_is<T: ServiceTables + FlowTables + PolicyTables>(
    tables: &T,
    routes: &impl Routes,
    packet: &Packet,
    hook: Hook,
    now: u32,
    record: &mut FlowRecord,
) -> Stop {
    // What comes in waits for its first where it leaves to the pod, and is judged there.
    if matches!(hook, Hook::FromUplink) && is_nameless(packet) {
        return Stop::NotOurs;
    }
    let Err(denied) = admit(tables, packet, hook, now, record) else { return Stop::NotOurs };
    match resume(tables, routes, packet, now, record) {
        Ok(()) => Stop::NotOurs,
        // An answer that conntrack has yet to give the Service's address: the client's socket knows it by that alone.
        Err(_) if matches!(hook, Hook::FromUplink) && goes_on(packet) && tables.is_taking_over() => {
            Stop::LeftToConntrack
        }
        Err(_) => Stop::Drop(denied),
    }
}

#[inline(never)]
fn open_through_service<T: ServiceTables + FlowTables + PolicyTables>(
    tables: &T,
    routes: &impl Routes,
    packet: &Packet,
    hook: Hook,
    now: u32,
    record: &mut FlowRecord,
) -> Result<(), Stop> {
    let Some(client) = client(hook) else { return Err(Stop::NotOurs) };
    let key = &packet.key;
    match packet.kind {
        Kind::Transport | Kind::Fragment => {}
        Kind::IcmpError => return Err(Stop::NotOurs),
        Kind::Other => return Err(find_no_port(tables, client, key.dst)),
    }
    let selected = match select(tables, packet, client, now, record) {
        Err(Stop::NotOurs) => part(tables, packet, client, now, record),
        selected => selected,
    };
    match selected {
        Err(Stop::NotOurs) => return Err(Stop::NotOurs),
        _ if !matches!(client, Client::Node) && is_forged(tables, key) => return Err(Stop::NotOurs),
        // The node's own connection, from a port that is also a node port.
        Err(Stop::Drop(Reason::NoConnection)) if is_nodes_own(tables, routes, key) => return Err(Stop::NotOurs),
        // The first of its datagram was refused, or not seen.
        Err(Stop::Drop(_)) if matches!(packet.kind, Kind::Fragment) => {
            return Err(Stop::Drop(Reason::UnknownFragment));
        }
        selected => selected?,
    }
    if judges(tables, hook) {
        judge_opened(tables, key, record)?;
    }
    Ok(())
}

/// Whom a Service serves at a hook; nobody where packets only leave.
#[inline(always)]
pub(super) const fn client(hook: Hook) -> Option<Client> {
    match hook {
        Hook::FromPod => Some(Client::Pod),
        Hook::FromNode | Hook::FromNodeToPod => Some(Client::Node),
        Hook::FromUplink => Some(Client::Outside),
        Hook::ToPod | Hook::JudgedToPod | Hook::Passing => None,
    }
}

/// Gives a new flow the source by which its replies come back.
#[inline(never)]
fn claim<T: ServiceTables + FlowTables>(
    tables: &T,
    routes: &impl Routes,
    key: &FlowKey,
    hook: Hook,
    record: &mut FlowRecord,
) -> Result<(), Reason> {
    let Some(client) = client(hook) else { return Ok(()) };
    let source_translated = translates_source(key, record, client);
    if source_translated {
        translate_source(routes, key, record)?;
    }
    reserve(tables, routes, key, record, sockets_to_ask(key, client, source_translated))
}

/// The pod behind the Service and the client's own address: before that is translated, too.
#[inline(never)]
fn judge_opened(tables: &impl PolicyTables, key: &FlowKey, record: &mut FlowRecord) -> Result<(), Reason> {
    judge(tables, key, record, &mut Ruling::default())
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
    is_node(tables, &key.dst) && routes.has_socket(key, Sockets::Nodes)
}

/// An address of the node's own.
#[inline(always)]
fn is_node(tables: &impl ServiceTables, addr: &Addr) -> bool {
    tables.address(addr).is_some_and(|address| address.is(address_flags::NODE))
}

/// Comes from elsewhere under an address that only the node itself has. The node's stack drops such a packet as a martian;
/// a flow of it would take the place, or the replies, of the node's own connections.
#[inline(never)]
fn is_forged(tables: &impl ServiceTables, key: &FlowKey) -> bool {
    key.src.is_loopback() || is_node(tables, &key.src)
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
    let (frontend, service) = find(tables, client, key.dst, key.dst_port, key.protocol as u8)?;
    service::admit(tables, &service, &key.src)?;
    if !packet.opens() {
        return Err(unknown_connection(tables, client));
    }
    // The other proxy translates what the node itself sends before it gets here.
    if !matches!(client, Client::Node) && tables.leaves_new_flows() {
        return Err(Stop::LeftToConntrack);
    }
    let request = Request { client, source: key.src, now };
    let (service, backend) = choose_for(tables, &frontend, service, &request)?;
    *record = new_record(key, &service, &backend, client, now);
    finish(tables, record);
    Ok(())
}

/// A segment that begins no connection.
#[inline(always)]
fn goes_on(packet: &Packet) -> bool {
    matches!(packet.kind, Kind::Transport) && !packet.opens() && packet.key.protocol == u32::from(protocol::TCP)
}

/// A segment of a connection that isn't known: what conntrack can't know either is refused. What the node itself sends has
/// been translated when it gets here, if it was to be.
#[inline(always)]
fn unknown_connection(tables: &impl ServiceTables, client: Client) -> Stop {
    match client {
        Client::Pod | Client::Outside if tables.is_taking_over() => Stop::LeftToConntrack,
        _ => Stop::Drop(Reason::NoConnection),
    }
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
    standing.copy_to(record);
    // Without a translation the packet is that flow's own client's.
    if !is_reply(record) || record.flags & flow_flags::AS_IS != 0 {
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
    if is_node(tables, &record.dst) {
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
        policy: 0,
    }
}

/// Whether replies come back to this node only if the client's address is replaced by one of its own.
///
/// A client outside is kept where the backend is here, even if no `nodeName` says so: it answers through us. The node itself gets the address of the
/// interface it leaves by, as a direct connection would; so it does where its own is a loopback address, which is nobody's
/// beyond it. A pod of ours is always answered through us; one that reaches
/// itself must not see its own address as the peer's.
#[inline(always)]
fn translates_source(key: &FlowKey, record: &FlowRecord, client: Client) -> bool {
    match client {
        Client::Node if key.src.is_loopback() => record.flags & flow_flags::BACKEND_IS_NODE == 0,
        Client::Outside | Client::Node => record.flags & (flow_flags::BACKEND_LOCAL | flow_flags::BACKEND_IS_NODE) == 0,
        Client::Pod => record.dst == key.src,
    }
}
