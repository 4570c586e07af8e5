//! A packet of a flow that is known: found, and moved along.

use super::{FlowEntry, FlowTables, Hook, forget, is_over, other_direction};
use crate::flow::{State, is_reply};
use crate::packet::{Kind, Packet};
use crate::service::ServiceTables;
use crate::tables::{FlowKey, FlowRecord, MemberKey, flow_flags};

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
    if matches!(packet.kind, Kind::Other) {
        return Followed::Unknown;
    }
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
    if matches!(packet.kind, Kind::IcmpError | Kind::Fragment) {
        return Followed::Translate;
    }
    let state = State::from_number(record.state);
    let elsewhere = place == Place::HalfOpen && began_elsewhere(record, hook);
    if !reply && packet.opens() && (elsewhere | begins_anew(tables, entry, record, packet, state, now)) {
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

/// The flow's first packet met another kind of hook: one of the two is forged, and which can't be told. Until the flow is
/// established the latest is believed, so that nobody keeps a client out by what he sent in its name.
#[inline(always)]
fn began_elsewhere(record: &FlowRecord, hook: Hook) -> bool {
    let of_client = record.flags & (flow_flags::RESTORE_AT_CLIENT | flow_flags::CLIENT_IS_NODE);
    match hook {
        // A pod that reaches itself has neither flag. Nor has one in whose name somebody outside was first: that serves it, too.
        Hook::FromPod => of_client == flow_flags::CLIENT_IS_NODE,
        Hook::FromUplink => of_client != 0,
        Hook::FromNode | Hook::FromNodeToPod => of_client != flow_flags::CLIENT_IS_NODE,
        Hook::ToPod => false,
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
    if through_service && tables.member(&MemberKey::new(record.service, record.dst, record.dst_port)).is_none() {
        return true;
    }
    entry.set_epoch(epoch);
    false
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
