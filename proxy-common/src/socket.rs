//! Which backend the datagrams of one socket go to.

use crate::addr::protocol;
use crate::flow::State;
use crate::service::ServiceTables;
use crate::tables::{MemberKey, Service, SocketPeer};

/// Whether the backend chosen for earlier datagrams to the same Service address still serves: a socket keeps its
/// backend as a flow of packets would, for as long, and only while the backend is a member.
#[inline(always)]
pub fn keeps_backend(tables: &impl ServiceTables, peer: &SocketPeer, service: &Service, now: u32) -> bool {
    let idle = now.wrapping_sub(peer.last_seen) as i32;
    peer.service == service.id
        && idle <= State::Established.timeout(protocol::UDP as u32) as i32
        && tables.is_member(&MemberKey::new(peer.service, peer.addr, peer.port))
}
