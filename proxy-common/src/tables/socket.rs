//! Sockets whose destination was translated.

use crate::addr::{Addr, Port};

/// A socket and one address it talks to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(C)]
pub struct SocketKey {
    /// The kernel's socket cookie, unique until reboot.
    pub cookie: u64,
    /// Service address in `SOCK_BACKEND`, backend's in `SOCK_ORIGIN`.
    pub addr: Addr,
    /// Its port.
    pub port: Port,
    _pad: [u16; 3],
}

const _: () = assert!(size_of::<SocketKey>() == 32);

impl SocketKey {
    /// Key of the socket `cookie` talking to `addr`:`port`.
    #[inline(always)]
    #[must_use]
    pub const fn new(cookie: u64, addr: Addr, port: Port) -> Self {
        Self { cookie, addr, port, _pad: [0; 3] }
    }
}

/// What stands for the key's address.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(C)]
pub struct SocketPeer {
    /// Backend's address in `SOCK_BACKEND`, Service's in `SOCK_ORIGIN`.
    pub addr: Addr,
    /// Its port.
    pub port: Port,
    _pad: u16,
    /// [`super::Service::id`].
    pub service: u32,
    /// IP protocol number.
    pub protocol: u32,
    /// When it was last used: whole seconds of the kernel's monotonic clock.
    pub last_seen: u32,
}

const _: () = assert!(size_of::<SocketPeer>() == 32);

impl SocketPeer {
    /// A translation of the Service port `service`, used at `now`.
    #[inline(always)]
    #[must_use]
    pub const fn new(addr: Addr, port: Port, service: u32, protocol: u8, now: u32) -> Self {
        Self { addr, port, _pad: 0, service, protocol: protocol as u32, last_seen: now }
    }
}
