//! Packets of no Service: judged as they are, and remembered where an end is policed, so that what answers them passes.

use super::verdict::judge;
use super::{Added, FlowTables, Hook, Routes, TcpEnd, other_direction};
use crate::addr::protocol;
use crate::drop::{Reason, Stop};
use crate::flow::State;
use crate::packet::{Kind, Packet, Part};
use crate::policy::{PolicyTables, Ruling, ruling_flags};
use crate::tables::{FlowKey, FlowRecord, flow_flags};

/// Judges a packet of no flow that is known, and opens one if its replies would else be judged by themselves.
///
/// # Errors
/// Why it may not pass.
#[inline(never)]
pub(super) fn admit<T: FlowTables + PolicyTables>(
    tables: &T,
    packet: &Packet,
    hook: Hook,
    now: u32,
    record: &mut FlowRecord,
) -> Result<(), Reason> {
    let key = &packet.key;
    // A reply is met where it leaves to a client here, as the replies of Services are: `RESTORE_AT_CLIENT` says so.
    let client = if matches!(hook, Hook::FromPod) { flow_flags::RESTORE_AT_CLIENT } else { 0 };
    *record = as_is(key, client, State::New, now);
    let mut ruling = Ruling::default();
    let judged = judge(tables, key, record, &mut ruling);
    let policed = judged.is_err() || ruling.flags & ruling_flags::POLICED != 0;
    if policed && is_nameless(packet) {
        return Err(Reason::UnknownFragment);
    }
    judged?;
    if ruling.flags & ruling_flags::TO_POD != 0 {
        record.flags |= flow_flags::BACKEND_LOCAL;
    }
    if policed && may_open(packet) { remember(tables, key, record) } else { Ok(()) }
}

/// May be the first of a flow that isn't translated: beside what may open one through a Service, what has no ports.
#[inline(always)]
pub(super) fn may_open(packet: &Packet) -> bool {
    let whole = matches!(packet.kind, Kind::Other) && packet.key.dst.is_single_host();
    whole || packet.opens()
}

/// A later fragment that didn't get its datagram's ports.
#[inline(always)]
pub(super) fn is_nameless(packet: &Packet) -> bool {
    let has_ports = matches!(packet.key.protocol as u8, protocol::TCP | protocol::UDP | protocol::SCTP);
    let known = packet.key.src_port.wire() != 0 || packet.key.dst_port.wire() != 0;
    matches!((packet.kind, packet.part), (Kind::Fragment, Part::Later)) && has_ports && !known
}

/// A flow's record that leaves the packets of `key` as they are.
#[inline(always)]
const fn as_is(key: &FlowKey, flags: u32, state: State, now: u32) -> FlowRecord {
    FlowRecord {
        src: key.src,
        dst: key.dst,
        src_port: key.src_port,
        dst_port: key.dst_port,
        service: 0,
        epoch: 0,
        last_seen: now,
        state: state as u32,
        flags: flags | flow_flags::AS_IS,
        policy: 0,
    }
}

/// Judges a segment as an answer, where it may not pass as its client's: a connection may be older than the policies, so that
/// nobody saw it begin. The pods' own sockets know.
///
/// # Errors
/// [`Stop::NotOurs`] when it is none; why it may not pass.
#[inline(never)]
pub(super) fn resume<T: FlowTables + PolicyTables>(
    tables: &T,
    routes: &impl Routes,
    packet: &Packet,
    now: u32,
    record: &mut FlowRecord,
) -> Result<(), Stop> {
    let tcp = matches!(packet.kind, Kind::Transport) && packet.key.protocol == u32::from(protocol::TCP);
    if !tcp || packet.is_syn() || !answers(tables, routes, &packet.key) {
        return Err(Stop::NotOurs);
    }
    *record = as_is(&packet.key, flow_flags::REPLY, State::Replied, now);
    judge(tables, &packet.key, record, &mut Ruling::default())?;
    Ok(remember(tables, &packet.key, record)?)
}

/// Whether a segment goes from the server of a connection to its client, one of which is a pod of this node.
#[inline(never)]
fn answers(tables: &impl PolicyTables, routes: &impl Routes, key: &FlowKey) -> bool {
    let interface = |addr| tables.identity(addr).filter(|pod| pod.is_local()).map(|pod| pod.ifindex);
    interface(&key.src).is_some_and(|ifindex| routes.tcp_end(ifindex, &key.reversed()) == TcpEnd::Server)
        || interface(&key.dst).is_some_and(|ifindex| routes.tcp_end(ifindex, key) == TcpEnd::Client)
}

/// Adds both directions, `record` being that of `key`. Where one stands already it is this flow's too.
#[inline(never)]
fn remember<T: FlowTables>(tables: &T, key: &FlowKey, record: &FlowRecord) -> Result<(), Reason> {
    let reply = tables.add_half_open(&record.reply_key(key.protocol), &other_direction(key, record));
    let forward = tables.add_half_open(key, record);
    if reply == Added::Full || forward == Added::Full { Err(Reason::FlowTableFull) } else { Ok(()) }
}
