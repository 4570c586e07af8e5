//! Which backend a socket talks to, and which Service it thinks it talks to.

use aya_ebpf::bindings::BPF_ANY;
use aya_ebpf::helpers::generated::bpf_set_retval;
use aya_ebpf::maps::LruHashMap;
use proxy_common::addr::{Addr, Port, protocol};
use proxy_common::drop::{Reason, Stop};
use proxy_common::service::{Client, choose, find};
use proxy_common::socket::keeps_backend;
use proxy_common::tables::{Service, ServiceKey, SocketKey, SocketPeer};

use super::addr::Call;
use crate::clock;
use crate::maps::{SOCK_BACKEND, SOCK_ORIGIN, count_drop};
use crate::tables::Maps;

/// The call goes on.
pub(crate) const PROCEED: i32 = 1;
/// The call fails.
const FAIL: i32 = 0;
const ECONNREFUSED: i32 = 111;

/// A Service that a call names.
struct Asked {
    addr: Addr,
    port: Port,
    protocol: u32,
    frontend: ServiceKey,
    service: Service,
    client: Client,
}

/// The Service that a call names, or the verdict for a call that is not to be translated.
#[inline(always)]
fn asked(call: Call) -> Result<Asked, i32> {
    let number = call.protocol();
    if number != u32::from(protocol::TCP) && number != u32::from(protocol::UDP) {
        return Err(PROCEED);
    }
    let Some(client) = call.client() else { return Err(PROCEED) };
    let (addr, port) = (call.addr(), call.port());
    match find(&Maps, client, addr, port, number as u8) {
        Ok((frontend, service)) => Ok(Asked { addr, port, protocol: number, frontend, service, client }),
        Err(Stop::Drop(reason)) => Err(refuse(reason)),
        Err(Stop::NotOurs | Stop::Held | Stop::LeftToConntrack) => Err(PROCEED),
    }
}

/// The call fails with `ECONNREFUSED`.
#[inline(always)]
fn refuse(reason: Reason) -> i32 {
    count_drop(reason);
    // SAFETY: the helper takes a number only.
    unsafe { bpf_set_retval(-ECONNREFUSED) };
    FAIL
}

/// `connect`: the socket is connected to a backend, once for its life. Returns the program's verdict.
///
/// A socket of datagrams stays connected to the Service: no later call would tell that its backend has left, so its
/// datagrams are translated in the path, where each of them asks.
#[inline(always)]
pub(crate) fn connect(call: Call) -> i32 {
    if call.protocol() != u32::from(protocol::TCP) {
        return PROCEED;
    }
    asked(call).and_then(|asked| exchange(call, &asked)).map_or_else(|verdict| verdict, |_| PROCEED)
}

/// `sendmsg` and `sendto` with an address: datagrams to one Service address stay with one backend.
#[inline(always)]
pub(crate) fn send(call: Call) -> i32 {
    // What a socket connected to a mapped address sends comes by here too (`udpv6_sendmsg`), and would be answered by
    // somebody it doesn't listen to.
    if call.is_connected() {
        return PROCEED;
    }
    let asked = match asked(call) {
        Ok(asked) => asked,
        Err(verdict) => return verdict,
    };
    let key = SocketKey::new(call.cookie(), asked.addr, asked.port);
    let now = clock::seconds();
    if let Some(standing) = SOCK_BACKEND.get_ptr_mut(key) {
        // SAFETY: the kernel keeps an element it has returned readable until the program ends. An LRU map may give it
        // to another socket meanwhile; what was copied is checked to be of this Service before it is used.
        let peer = unsafe { *standing };
        if !asked.service.depends_on_client() && keeps_backend(&Maps, &peer, &asked.service, now) {
            // SAFETY: as above, and writable; one aligned word.
            unsafe { (*standing).last_seen = now };
            call.set(peer.addr, peer.port);
            return PROCEED;
        }
    }
    match exchange(call, &asked) {
        Ok(backend) => {
            put(&SOCK_BACKEND, &key, &backend);
            PROCEED
        }
        Err(verdict) => verdict,
    }
}

/// Puts a backend in the Service's place, or gives the verdict for there being none.
#[inline(always)]
fn exchange(call: Call, asked: &Asked) -> Result<SocketPeer, i32> {
    // The kernel chooses the client's address only after this call, so what depends on it is left to the path. So is a
    // client that asks from a loopback address, which a backend elsewhere couldn't answer.
    if asked.service.depends_on_client() || call.is_from_loopback() {
        return Err(PROCEED);
    }
    match choose(&Maps, &asked.frontend, asked.service, asked.client) {
        Ok((service, backend)) => {
            let now = clock::seconds();
            let peer = |addr, port| SocketPeer::new(addr, port, service.id, asked.protocol as u8, now);
            let key = SocketKey::new(call.cookie(), backend.addr, backend.port);
            put(&SOCK_ORIGIN, &key, &peer(asked.addr, asked.port));
            call.set(backend.addr, backend.port);
            Ok(peer(backend.addr, backend.port))
        }
        Err(reason @ Reason::NoEndpoints) => Err(refuse(reason)),
        // Dropped in silence, so by the packet path: a call can only fail.
        Err(_) => Err(PROCEED),
    }
}

/// A table without room costs a translation its memory, not the call its success.
#[inline(always)]
fn put(table: &LruHashMap<SocketKey, SocketPeer>, key: &SocketKey, peer: &SocketPeer) {
    let _ = table.insert(key, peer, u64::from(BPF_ANY));
}

/// `recvmsg` and `getpeername`: the backend appears as the Service it was asked for.
#[inline(always)]
pub(crate) fn restore(call: Call) -> i32 {
    let key = SocketKey::new(call.cookie(), call.addr(), call.port());
    // SAFETY: as in `send`; the key holds the socket's cookie, which no other socket ever has.
    if let Some(peer) = unsafe { SOCK_ORIGIN.get(key) } {
        call.set(peer.addr, peer.port);
    }
    PROCEED
}
