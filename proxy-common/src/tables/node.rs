//! The node's interfaces.

use crate::addr::Addr;

/// An interface of this node.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
#[repr(C)]
pub struct Device {
    /// The IPv4 address that traffic leaving by it gets as source (mapped form); unspecified when it has none.
    pub ipv4: Addr,
    /// The same for IPv6.
    pub ipv6: Addr,
    /// [`device_flags`].
    pub flags: u32,
    /// Under [`device_flags::POD_NETNS`], the pod's network namespace by its number in the node's (`rtnetlink(7)`'s
    /// `IFLA_LINK_NETNSID`).
    pub netns: u32,
    /// The IPv4 address of the pod behind it (mapped form); unspecified while it isn't known.
    pub pod_ipv4: Addr,
    /// The same for IPv6.
    pub pod_ipv6: Addr,
}

const _: () = assert!(size_of::<Device>() == 72);

/// Bits of [`Device::flags`].
pub mod device_flags {
    /// The host's end of a pod's interface.
    pub const POD: u32 = 1 << 0;
    /// [`super::Device::netns`] is known.
    pub const POD_NETNS: u32 = 1 << 2;
    /// Packets on it begin with the IP header (tunnels such as WireGuard and IPIP).
    pub const NO_MAC: u32 = 1 << 1;
    /// What comes in by it was inside another packet of this node (VXLAN, Geneve, GRE), and brings along what was noted of
    /// that one. In the node's own entry: some interface takes packets out of others, which pods may not send then.
    pub const OVERLAY: u32 = 1 << 3;
}
