//! Addresses that mean something to this node.

/// What an address is. One that isn't in the table is no Service's and not the node's.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
#[repr(C)]
pub struct Address {
    /// [`address_flags`].
    pub flags: u32,
}

const _: () = assert!(size_of::<Address>() == 4);

/// Bits of [`Address::flags`].
pub mod address_flags {
    /// One of this node's; `127.0.0.1` stands for all of `127.0.0.0/8`.
    pub const NODE: u32 = 1 << 0;
    /// Node ports are served on it.
    pub const NODE_PORT: u32 = 1 << 1;
    /// Some frontend has it.
    pub const FRONTEND: u32 = 1 << 2;
    /// A ClusterIP. It belongs to nobody else, so a port on it that no Service port has is refused (kube-proxy's nftables
    /// mode does so too); an external or a load balancer's address may also be somebody's own.
    pub const CLUSTER_IP: u32 = 1 << 3;
}

impl Address {
    /// Has all of `flags`.
    #[inline(always)]
    #[must_use]
    pub const fn is(self, flags: u32) -> bool {
        self.flags & flags == flags
    }
}
