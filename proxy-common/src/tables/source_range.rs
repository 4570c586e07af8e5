//! `loadBalancerSourceRanges`.

use crate::addr::Addr;

/// A source address, or a network of them, that may use the frontends of a Service port that have
/// [`super::service_flags::SOURCE_RANGES`]. Key of a trie by longest prefix.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
#[repr(C)]
pub struct SourceRange {
    /// [`super::Service::id`].
    pub service: u32,
    /// Address; what lies beyond the prefix is zero.
    pub addr: Addr,
}

const _: () = assert!(size_of::<SourceRange>() == 20);

impl SourceRange {
    /// Prefix of a single address, in bits of the key.
    pub const BITS: u32 = size_of::<Self>() as u32 * 8;
    /// Bits of the key before an IPv4 address of the mapped form.
    pub const BEFORE_V4: u32 = Self::BITS - 32;
    /// Bits of the key before an IPv6 address.
    pub const BEFORE_V6: u32 = Self::BITS - 128;
}
