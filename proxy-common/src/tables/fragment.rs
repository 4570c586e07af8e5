//! Datagrams in fragments: what the first says of the others.

use crate::addr::{Addr, Port};

/// The datagram that a fragment is of (RFC 791, 3.2; RFC 8200, 4.5).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(C)]
pub struct FragmentKey {
    /// Source address.
    pub src: Addr,
    /// Destination address.
    pub dst: Addr,
    /// Identification, as it lies in the packet; an IPv4 one's 16 bits widened.
    pub id: u32,
    /// IP protocol number; 0 in IPv6, where only the first fragment's counts.
    pub protocol: u32,
}

const _: () = assert!(size_of::<FragmentKey>() == 40);

/// What the first fragment said.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
#[repr(C)]
pub struct Fragment {
    /// Source port; 0 of a protocol without.
    pub src_port: Port,
    /// Destination port; 0 of a protocol without.
    pub dst_port: Port,
    /// IP protocol number.
    pub protocol: u32,
    /// When it was seen: whole seconds of the kernel's monotonic clock.
    pub last_seen: u32,
}

const _: () = assert!(size_of::<Fragment>() == 12);
