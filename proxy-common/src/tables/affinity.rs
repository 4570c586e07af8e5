//! Session affinity: which endpoint a client's connections go to.

use crate::addr::{Addr, Port};

/// A client of a Service port. All frontends of the port share what it is bound to (kube-proxy's rule 5.2).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
#[repr(C)]
pub struct AffinityKey {
    /// The client's own address, before any translation; its port doesn't count.
    pub client: Addr,
    /// [`super::Service::id`].
    pub service: u32,
}

const _: () = assert!(size_of::<AffinityKey>() == 20);

/// The endpoint that a client is bound to.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
#[repr(C)]
pub struct Affinity {
    /// Address of the endpoint.
    pub addr: Addr,
    /// Its port.
    pub port: Port,
    _pad: u16,
    /// [`super::Service::affinity_generation`] under which it was bound; another one unbinds it.
    pub generation: u32,
    /// When a connection was last opened under it: whole seconds of the kernel's monotonic clock.
    pub last_used: u32,
}

const _: () = assert!(size_of::<Affinity>() == 28);

impl Affinity {
    /// Bound to `addr`:`port` under `generation`, at `now`.
    #[inline(always)]
    #[must_use]
    pub const fn new(addr: Addr, port: Port, generation: u32, now: u32) -> Self {
        Self { addr, port, _pad: 0, generation, last_used: now }
    }
}
