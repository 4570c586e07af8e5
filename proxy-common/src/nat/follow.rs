//! A packet of a flow that is known: found, and moved along.

use super::as_is::may_open;
use super::open::client;
use super::verdict::{judges, review};
use super::{FlowEntry, FlowTables, Hook, forget, is_over, other_direction};
use crate::drop::{Reason, Stop};
use crate::flow::{State, is_reply};
use crate::packet::{Kind, Packet};
use crate::policy::PolicyTables;
use crate::service::{self, ServiceTables};
use crate::tables::{FlowKey, FlowRecord, MemberKey, flow_flags};

/// What is known of a packet's flow.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Followed {
    /// Translate by its record.
    Translate,
    /// Not to be translated at this hook.
    Leave,
    /// Of a flow that isn't translated at all.
    Known,
    /// No flow is known, or the one known is over.
    Unknown,
}

/// Finds the packet's flow, moves it along, and copies its record to `record`.
///
/// # Errors
/// Why policies let it pass no longer.
#[inline(always)]
pub fn follow<T: ServiceTables + FlowTables + PolicyTables>(
    tables: &T,
    packet: &Packet,
    hook: Hook,
    now: u32,
    record: &mut FlowRecord,
) -> Result<Followed, Reason> {
    let judged = judges(tables, hook);
    if matches!(packet.kind, Kind::Other) && !judged {
        return Ok(Followed::Unknown);
    }
    let Some((entry, place)) = find(tables, &packet.key) else {
        if !judged || matches!(hook, Hook::FromPod | Hook::FromUplink) {
            return Ok(Followed::Unknown);
        }
        return match met_before(tables, packet, record) {
            Ok(()) => Ok(Followed::Leave),
            Err(Stop::Drop(reason)) => Err(reason),
            Err(Stop::NotOurs | Stop::Held | Stop::LeftToConntrack) => Ok(Followed::Unknown),
        };
    };
    entry.copy_to(record);
    if judged {
        review(tables, &entry, &packet.key, record, packet)?;
    }
    Ok(advance(tables, &entry, place, packet, hook, now, record))
}

/// A packet that an earlier hook translated is, reversed, what answers it: the other direction of its flow has that key.
#[inline(never)]
fn met_before<T: FlowTables + PolicyTables>(tables: &T, packet: &Packet, record: &mut FlowRecord) -> Result<(), Stop> {
    let key = packet.key.reversed();
    let (entry, _) = find(tables, &key).ok_or(Stop::NotOurs)?;
    entry.copy_to(record);
    Ok(review(tables, &entry, &key, record, packet)?)
}

#[inline(always)]
fn find<T: FlowTables>(tables: &T, key: &FlowKey) -> Option<(T::Entry, Place)> {
    let half_open = || tables.half_open(key).map(|entry| (entry, Place::HalfOpen));
    tables.established(key).map(|entry| (entry, Place::Established)).or_else(half_open)
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
    let as_is = record.flags & flow_flags::AS_IS != 0;
    if !is_counted_at(record, hook, as_is) {
        return Followed::Leave;
    }
    let known = if as_is { Followed::Known } else { Followed::Translate };
    if matches!(packet.kind, Kind::IcmpError | Kind::Fragment) {
        return known;
    }
    let state = State::from_number(record.state);
    let elsewhere = began_elsewhere(record, place, hook);
    let meant_for_service = as_is && state == State::New && packet.opens() && is_for_service(tables, &packet.key, hook);
    if !reply
        && may_open(packet)
        && (elsewhere | meant_for_service | begins_anew(tables, entry, record, packet, state, now))
    {
        forget(tables, &packet.key, record);
        return Followed::Unknown;
    }
    let next = state.after(reply, packet.tcp_flags);
    if next != state || record.last_seen != now {
        record.last_seen = now;
        record.state = next as u32;
        move_on(tables, entry, place, &packet.key, record);
    }
    known
}

/// Each direction of a flow is translated at one hook, whichever others its packets meet. One that isn't translated is
/// counted where it is judged.
#[inline(always)]
fn is_counted_at(record: &FlowRecord, hook: Hook, as_is: bool) -> bool {
    let at_client = is_reply(record) && record.flags & flow_flags::RESTORE_AT_CLIENT != 0;
    match hook {
        Hook::JudgedToPod => at_client && !as_is,
        _ if as_is => true,
        Hook::Passing => false,
        Hook::ToPod => at_client,
        Hook::FromNodeToPod => at_client || !is_reply(record),
        Hook::FromPod | Hook::FromUplink | Hook::FromNode => !at_client,
    }
}

/// The flow's first packet met another kind of hook: one of the two is forged, and which can't be told. Until the flow is
/// established the latest is believed, so that nobody keeps a client out by what he sent in its name.
///
/// Not inlined: the compiler would take the place for whether the entry is null, and merge it with flags by arithmetic on
/// the pointer, which the verifier refuses.
#[inline(never)]
fn began_elsewhere(record: &FlowRecord, place: Place, hook: Hook) -> bool {
    if place == Place::Established || record.flags & flow_flags::AS_IS != 0 {
        return false;
    }
    let of_client = record.flags & (flow_flags::RESTORE_AT_CLIENT | flow_flags::CLIENT_IS_NODE);
    match hook {
        // A pod that reaches itself has neither flag. Nor has one in whose name somebody outside was first: that serves it, too.
        Hook::FromPod => of_client == flow_flags::CLIENT_IS_NODE,
        Hook::FromUplink => of_client != 0,
        Hook::FromNode | Hook::FromNodeToPod => of_client != flow_flags::CLIENT_IS_NODE,
        Hook::ToPod | Hook::JudgedToPod | Hook::Passing => false,
    }
}

/// What was let pass as it is, and nobody answered, may be for a Service that wasn't there then: its client goes on from the
/// same port.
#[inline(never)]
fn is_for_service(tables: &impl ServiceTables, key: &FlowKey, hook: Hook) -> bool {
    let Some(client) = client(hook) else { return false };
    !matches!(service::find(tables, client, key.dst, key.dst_port, key.protocol as u8), Err(Stop::NotOurs))
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
