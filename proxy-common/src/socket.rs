//! Which backend the datagrams of one socket go to.

use crate::flow::{UDP_TIMEOUT, idle_longer_than};
use crate::service::ServiceTables;
use crate::tables::{MemberKey, Service, SocketPeer};

/// Whether the backend chosen for earlier datagrams to the same Service address still serves: a socket keeps its
/// backend as a flow of packets would, for as long, and only while the backend is a member.
#[inline(always)]
pub fn keeps_backend(tables: &impl ServiceTables, peer: &SocketPeer, service: &Service, now: u32) -> bool {
    peer.service == service.id
        && !idle_longer_than(UDP_TIMEOUT, peer.last_seen, now)
        && tables.member(&MemberKey::new(peer.service, peer.addr, peer.port)).is_some()
}
