//! What happens to a packet: the flow it belongs to, or the flow it opens, through a Service or as a policed pod's.
//!
//! A flow is two records. The client's direction maps the packet as the client sent it to what the backend gets, the
//! reply's direction the other way round; key and record of one hold all that those of the other do, so each can be
//! rebuilt from the other. New flows stand in an LRU table, so that a flood of them evicts only its like; they move to
//! a table that evicts nothing once the client goes on after an answer, which no flood of first packets does.

mod as_is;
mod follow;
mod open;
mod source_port;
mod verdict;

use crate::addr::Addr;
use crate::drop::{Reason, Stop};
use crate::flow::{State, expired};
use crate::packet::Packet;
use crate::policy::PolicyTables;
use crate::service::ServiceTables;
use crate::tables::{FlowKey, FlowRecord, flow_flags};

pub use follow::{Followed, follow};
pub use open::{Sockets, open};
pub use source_port::SourcePorts;
pub use verdict::{ends_at_pod, judges};

/// A record where it stands in its table: changes are seen by every CPU.
pub trait FlowEntry {
    /// Copy of the record.
    fn record(&self) -> FlowRecord;
    /// Copies the record to where another stood. The kernel programs do it by words: where the compiler can't tell that
    /// the two don't overlap, it makes a loop over their bytes.
    #[inline(always)]
    fn copy_to(&self, record: &mut FlowRecord) {
        *record = self.record();
    }
    /// Notes a packet at `now`, in whole seconds of the kernel's monotonic clock.
    fn set_last_seen(&self, now: u32);
    /// Moves the flow along.
    fn set_state(&self, state: State);
    /// Notes that the backend was a member under this value of `EPOCH`.
    fn set_epoch(&self, epoch: u32);
    /// Notes that policies let the flow pass in this generation.
    fn set_policy(&self, generation: u32);
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
pub trait FlowTables: SourcePorts {
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
    /// Which end of a TCP connection the pod behind an interface is, by the socket that gets segments with these addresses
    /// and ports.
    fn tcp_end(&self, ifindex: u32, segment: &FlowKey) -> TcpEnd;
}

/// An end of a TCP connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TcpEnd {
    /// There is no such connection.
    None,
    /// Nothing listens on its port: it went out from there.
    Client,
    /// Something listens on its port.
    Server,
}

/// Where a packet meets us.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Hook {
    /// It comes from a pod.
    FromPod,
    /// It leaves to a pod, and nobody has judged yet whether it may reach that one.
    ToPod,
    /// It leaves to a pod, and was judged where it came in; or there is no policy.
    JudgedToPod,
    /// A program of the node itself sent it, to a pod here and as it is: through no Service.
    FromNodeToPod,
    /// It comes from beyond an uplink.
    FromUplink,
    /// A program of the node itself sent it.
    FromNode,
    /// It passes, and is no Service's here: it leaves the node unjudged, or is addressed to many.
    Passing,
}

/// Decides about a packet: whether it passes, and whether it is to be translated here, by which `record`.
///
/// # Errors
/// Why it is not.
#[inline(always)]
pub fn translate<T: ServiceTables + FlowTables + PolicyTables>(
    tables: &T,
    routes: &impl Routes,
    packet: &Packet,
    hook: Hook,
    now: u32,
    record: &mut FlowRecord,
) -> Result<(), Stop> {
    match follow(tables, packet, hook, now, record)? {
        Followed::Translate => Ok(()),
        Followed::Leave | Followed::Known => Err(Stop::NotOurs),
        Followed::Unknown => open(tables, routes, packet, hook, now, record),
    }
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
        policy: record.policy,
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

/// The packet with the record's addresses and ports.
#[inline(always)]
#[must_use]
pub const fn translated(key: &FlowKey, record: &FlowRecord) -> FlowKey {
    record.reply_key(key.protocol).reversed()
}

#[cfg(test)]
mod tests;
