//! Where policies are asked about a packet, and what about.

use super::{FlowEntry, FlowTables, Hook};
use crate::drop::Reason;
use crate::flow::is_reply;
use crate::packet::Packet;
use crate::policy::{PolicyTables, Question, Ruling};
use crate::tables::{FlowKey, FlowRecord, flow_flags, pod_network_flags};

/// Whether packets are judged at a hook: where they first meet us, and where they leave if nobody judged them before. What
/// the node itself sends is nobody's to judge.
#[inline(always)]
pub fn judges(tables: &impl PolicyTables, hook: Hook) -> bool {
    let judges = matches!(hook, Hook::FromPod | Hook::FromUplink | Hook::ToPod | Hook::Passing);
    judges && tables.pod_network_flags() & (pod_network_flags::POLICED | pod_network_flags::HOLD_UNKNOWN) != 0
}

/// Whether the packets of a record's direction, as they are after it, are for a pod of this node. `false` where that isn't
/// known.
#[inline(always)]
#[must_use]
pub const fn ends_at_pod(record: &FlowRecord) -> bool {
    use flow_flags::{BACKEND_IS_NODE, BACKEND_LOCAL, RESTORE_AT_CLIENT};
    if is_reply(record) {
        return record.flags & RESTORE_AT_CLIENT != 0;
    }
    record.flags & (BACKEND_LOCAL | BACKEND_IS_NODE) == BACKEND_LOCAL
}

/// Asks about a flow, of which `record` belongs to `key`, and notes in the record when it was let pass.
#[inline(always)]
pub(super) fn judge(
    tables: &impl PolicyTables,
    key: &FlowKey,
    record: &mut FlowRecord,
    ruling: &mut Ruling,
) -> Result<(), Reason> {
    tables.judge(&question(key, record), ruling)?;
    record.policy = ruling.generation;
    Ok(())
}

/// The first packet of a flow as the pods see it: from the client's own address, to the endpoint.
#[inline(always)]
fn question(key: &FlowKey, record: &FlowRecord) -> Question {
    let (src, dst, port) =
        if is_reply(record) { (record.dst, key.src, key.src_port) } else { (key.src, record.dst, record.dst_port) };
    let from_node = u16::from(record.flags & flow_flags::CLIENT_IS_NODE != 0);
    Question { src, dst, protocol: key.protocol, port, from_node }
}

/// Judges a packet of a known flow, whose `record` belongs to `key`: by the policies as they are now, if they changed
/// since the flow was let pass.
#[inline(always)]
pub(super) fn review<T: FlowTables + PolicyTables>(
    tables: &T,
    entry: &T::Entry,
    key: &FlowKey,
    record: &mut FlowRecord,
    packet: &Packet,
) -> Result<(), Reason> {
    if record.policy != tables.generation() {
        judge_anew(tables, key, record)?;
        entry.set_policy(record.policy);
    }
    let answers = is_reply(record) == (packet.key == *key);
    if answers && packet.is_syn() { judge_by_itself(tables, &packet.key) } else { Ok(()) }
}

/// Judges a flow, and lets its other direction know.
#[inline(never)]
fn judge_anew<T: FlowTables + PolicyTables>(tables: &T, key: &FlowKey, record: &mut FlowRecord) -> Result<(), Reason> {
    let mut ruling = Ruling::default();
    judge(tables, key, record, &mut ruling)?;
    let other = record.reply_key(key.protocol);
    if let Some(entry) = tables.established(&other).or_else(|| tables.half_open(&other)) {
        entry.set_policy(ruling.generation);
    }
    Ok(())
}

/// Who opens a connection from the end that is to answer answers nothing.
#[inline(never)]
fn judge_by_itself(tables: &impl PolicyTables, key: &FlowKey) -> Result<(), Reason> {
    let question = Question { src: key.src, dst: key.dst, protocol: key.protocol, port: key.dst_port, from_node: 0 };
    tables.judge(&question, &mut Ruling::default())
}
