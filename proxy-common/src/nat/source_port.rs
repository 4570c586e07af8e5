//! The source port of a new flow, by which its replies are told from those of every other.

use super::{Added, FlowEntry, FlowTables, Routes, Sockets, forget, is_over, other_direction};
use crate::addr::Port;
use crate::drop::Reason;
use crate::service::ServiceTables;
use crate::tables::{FlowKey, FlowRecord};

/// Source ports tried for a new flow whose own is taken.
const PORT_ATTEMPTS: u32 = 16;
/// First port that source translation may take.
const FIRST_PORT: u32 = 1_024;

/// Takes a source port under which replies are told from those of every other flow: the client's own if it can be.
#[inline(never)]
pub(super) fn reserve<T: ServiceTables + FlowTables>(
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
