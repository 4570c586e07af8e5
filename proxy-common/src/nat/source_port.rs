//! The source port of a new flow, by which its replies are told from those of every other.

use super::{Added, FlowEntry, FlowTables, Routes, Sockets, forget, is_over, other_direction};
use crate::addr::Port;
use crate::drop::Reason;
use crate::flow::{State, idle_longer_than};
use crate::service::ServiceTables;
use crate::tables::{FlowKey, FlowRecord, SourcePortKey};

/// First port that a flow may get instead of its own: those below are for servers (RFC 6335, 6).
pub(super) const FIRST_PORT: u32 = 1_024;
/// How many there are from it on.
pub(super) const PORTS: u32 = 0x1_0000 - FIRST_PORT;
/// Most ports that one packet tries beside its own: a search of all would hold up the CPU for milliseconds.
pub(super) const ATTEMPTS: u32 = 512;
/// Of these, the first are for free ports only. After that, flows that never were established and were not seen in this
/// second give way, as they do in a full `FLOWS_NEW`: a flood of them would else hold every port.
pub(super) const CONSIDERATE_ATTEMPTS: u32 = 64;
/// From one port in turn to the next. It shares no factor with [`PORTS`], so that each has its turn before any has
/// another; and it is about √2 - 1 of their number, whose multiples spread evenly, so that turns soon leave any range of
/// ports that is taken whole.
const STRIDE: u32 = 26_723;

/// Searching for a port.
pub trait SourcePorts {
    /// Entry of `SOURCE_PORTS`: where the next search goes on.
    fn next_port(&self, key: &SourcePortKey) -> Option<u32>;
    /// Notes where the next search goes on. It may be forgotten: that search then begins anywhere.
    fn set_next_port(&self, key: &SourcePortKey, next: u32);
    /// Takes a step until one says that it was the last, `most` times at most. The kernel has a function of its own for
    /// it, by which its verifier looks at one step instead of all.
    #[inline(always)]
    fn repeat<F: FnMut() -> bool>(&self, most: u32, mut step: F) {
        for _ in 0..most {
            if step() {
                break;
            }
        }
    }
}

/// Takes a source port under which replies are told from those of every other flow: the client's own if it can be, else
/// the next that is free, from where the last search between these addresses ended. So all ports come into use, each
/// packet tries [`ATTEMPTS`] of them at most, and one that finds none is followed up by the next.
#[inline(always)]
pub(super) fn reserve<T: ServiceTables + FlowTables>(
    tables: &T,
    routes: &impl Routes,
    key: &FlowKey,
    record: &mut FlowRecord,
    sockets: Sockets,
) -> Result<(), Reason> {
    let mut claimed = claim_own(tables, routes, key, record, sockets);
    if matches!(claimed, Added::Taken) {
        claimed = search(tables, routes, key, record, sockets);
    }
    match claimed {
        Added::New => settle(tables, key, record),
        Added::Full => Err(Reason::FlowTableFull),
        Added::Taken => Err(Reason::NoSourcePort),
    }
}

#[inline(never)]
fn search<T: ServiceTables + FlowTables>(
    tables: &T,
    routes: &impl Routes,
    key: &FlowKey,
    record: &mut FlowRecord,
    sockets: Sockets,
) -> Added {
    let next = begin_search(tables, record, key.protocol);
    let mut search = Search { routes, key, record, sockets, next, attempt: 0, claimed: Added::Taken };
    // All that a step needs is behind one word: what a closure captures word by word takes stack in a chain of calls that
    // has none to spare.
    tables.repeat(ATTEMPTS, || search.step(tables));
    let Search { record, next, claimed, .. } = search;
    end_search(tables, record, key.protocol, next);
    claimed
}

/// A search under way.
struct Search<'a, R> {
    routes: &'a R,
    key: &'a FlowKey,
    record: &'a mut FlowRecord,
    sockets: Sockets,
    next: u32,
    attempt: u32,
    claimed: Added,
}

impl<R: Routes> Search<'_, R> {
    /// Tries one port; whether the search is over.
    #[inline(always)]
    fn step<T: ServiceTables + FlowTables>(&mut self, tables: &T) -> bool {
        // Every other port is in turn, so that each is found in time; and every other any, so that a search gets past
        // ports that were given one after the other and have been kept since.
        let in_turn = self.attempt & 1 == 0;
        let port = if in_turn { self.next } else { any_port(tables) };
        if in_turn {
            self.next = (self.next + STRIDE) % PORTS;
        }
        self.record.src_port = Port::new((FIRST_PORT + port) as u16);
        let pressed = self.attempt >= CONSIDERATE_ATTEMPTS;
        self.claimed = claim(tables, self.routes, self.key, self.record, self.sockets, pressed);
        self.attempt += 1;
        !matches!(self.claimed, Added::Taken)
    }
}

// These are functions of their own so that the stack of one is free again for the next.

#[inline(never)]
fn begin_search<T: ServiceTables + SourcePorts>(tables: &T, record: &FlowRecord, protocol: u32) -> u32 {
    tables.next_port(&between(record, protocol)).unwrap_or_else(|| any_port(tables)) % PORTS
}

/// From 0 to [`PORTS`] less one.
#[inline(always)]
fn any_port(tables: &impl ServiceTables) -> u32 {
    ((u64::from(tables.random()) * u64::from(PORTS)) >> 32) as u32
}

#[inline(never)]
fn end_search(tables: &impl SourcePorts, record: &FlowRecord, protocol: u32, next: u32) {
    tables.set_next_port(&between(record, protocol), next);
}

#[inline(always)]
const fn between(record: &FlowRecord, protocol: u32) -> SourcePortKey {
    SourcePortKey { src: record.src, dst: record.dst, dst_port: record.dst_port, protocol: protocol as u16 }
}

/// Claims the client's own port.
#[inline(never)]
fn claim_own<T: FlowTables>(
    tables: &T,
    routes: &impl Routes,
    key: &FlowKey,
    record: &FlowRecord,
    sockets: Sockets,
) -> Added {
    claim(tables, routes, key, record, sockets, false)
}

/// Adds the reply's direction of a flow, `record` being the client's, unless something else has its place. When `pressed`,
/// a flow that isn't established gives way.
#[inline(always)]
fn claim<T: FlowTables>(
    tables: &T,
    routes: &impl Routes,
    key: &FlowKey,
    record: &FlowRecord,
    sockets: Sockets,
    pressed: bool,
) -> Added {
    let reply_key = record.reply_key(key.protocol);
    match place(tables, key, &reply_key, record.last_seen, pressed) {
        Place::Free => {}
        Place::Ours => return Added::New,
        Place::Taken => return Added::Taken,
    }
    if sockets != Sockets::Nobodys && routes.has_socket(&reply_key, sockets) {
        return Added::Taken;
    }
    add_reply(tables, key, &reply_key, record)
}

#[inline(never)]
fn add_reply<T: FlowTables>(tables: &T, key: &FlowKey, reply_key: &FlowKey, record: &FlowRecord) -> Added {
    tables.add_half_open(reply_key, &other_direction(key, record))
}

/// What stands in the place of a flow's replies.
enum Place {
    Free,
    /// The flow's own: its other half was evicted and is about to come back.
    Ours,
    Taken,
}

/// Looks at the place of the replies to `key`, and clears it of a flow that is over or is to give way.
#[inline(never)]
fn place<T: FlowTables>(tables: &T, key: &FlowKey, reply_key: &FlowKey, now: u32, pressed: bool) -> Place {
    let (standing, half_open) = match tables.established(reply_key) {
        Some(entry) => (entry.record(), false),
        None => match tables.half_open(reply_key) {
            Some(entry) => (entry.record(), true),
            None => return Place::Free,
        },
    };
    if standing.src == key.dst
        && standing.dst == key.src
        && standing.src_port == key.dst_port
        && standing.dst_port == key.src_port
    {
        return Place::Ours;
    }
    // Where FLOWS is full, established flows stand among the half-open ones.
    let state = State::from_number(standing.state);
    let yields = pressed
        && half_open
        && (state.is_over() || !state.is_established())
        && idle_longer_than(0, standing.last_seen, now);
    if !yields && !is_over(tables, reply_key, &standing, now) {
        return Place::Taken;
    }
    forget(tables, reply_key, &standing);
    Place::Free
}

/// Adds the client's direction, after the reply's.
#[inline(always)]
fn settle<T: FlowTables>(tables: &T, key: &FlowKey, record: &mut FlowRecord) -> Result<(), Reason> {
    match tables.add_half_open(key, record) {
        Added::New => Ok(()),
        Added::Full => {
            tables.remove_half_open(&record.reply_key(key.protocol));
            Err(Reason::FlowTableFull)
        }
        // Another CPU opened the same flow in the meantime: its choice stands.
        Added::Taken => {
            let reply_key = record.reply_key(key.protocol);
            if let Some(winner) = tables.half_open(key) {
                winner.copy_to(record);
            }
            if record.reply_key(key.protocol) != reply_key {
                tables.remove_half_open(&reply_key);
            }
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests;
