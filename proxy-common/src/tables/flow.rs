//! Translated flows: one record for each direction.

use crate::addr::{Addr, Port};

/// A packet's addresses and ports, as they are when it meets us.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
#[repr(C)]
pub struct FlowKey {
    /// Source address.
    pub src: Addr,
    /// Destination address.
    pub dst: Addr,
    /// Source port.
    pub src_port: Port,
    /// Destination port.
    pub dst_port: Port,
    /// IP protocol number.
    pub protocol: u32,
}

const _: () = assert!(size_of::<FlowKey>() == 40);

impl FlowKey {
    /// The same flow seen from the other end.
    #[inline(always)]
    #[must_use]
    pub const fn reversed(&self) -> Self {
        Self { src: self.dst, dst: self.src, src_port: self.dst_port, dst_port: self.src_port, protocol: self.protocol }
    }
}

/// What becomes of the packets of one direction of a flow. Key and record of one direction hold all that those of the
/// other do: see [`FlowRecord::reply_key`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
#[repr(C)]
pub struct FlowRecord {
    /// Source address the packet gets.
    pub src: Addr,
    /// Destination address the packet gets.
    pub dst: Addr,
    /// Source port the packet gets.
    pub src_port: Port,
    /// Destination port the packet gets.
    pub dst_port: Port,
    /// [`super::Service::id`].
    pub service: u32,
    /// Value of `EPOCH` under which the backend was last known to serve.
    pub epoch: u32,
    /// When this direction last saw a packet: whole seconds of the kernel's monotonic clock.
    pub last_seen: u32,
    /// [`crate::flow::State`] as a number.
    pub state: u32,
    /// [`flow_flags`].
    pub flags: u32,
    /// Value of `POLICY_GENERATION` in which it was last let pass.
    pub policy: u32,
}

const _: () = assert!(size_of::<FlowRecord>() == 60);

impl FlowRecord {
    /// The packet after translation, which is, reversed, the packet that answers it.
    #[inline(always)]
    #[must_use]
    pub const fn reply_key(&self, protocol: u32) -> FlowKey {
        FlowKey { src: self.dst, dst: self.src, src_port: self.dst_port, dst_port: self.src_port, protocol }
    }
}

/// Flows that only their source port tells apart.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(C)]
pub struct SourcePortKey {
    /// Source address after translation.
    pub src: Addr,
    /// The backend's address.
    pub dst: Addr,
    /// The backend's port.
    pub dst_port: Port,
    /// IP protocol number.
    pub protocol: u16,
}

const _: () = assert!(size_of::<SourcePortKey>() == 36);

/// Bits of [`FlowRecord::flags`].
pub mod flow_flags {
    /// Direction from the backend to the client.
    pub const REPLY: u32 = 1 << 0;
    /// The client is a pod of this node: replies are restored where they leave to it, so that the node's own stack sees
    /// the flow as it sees a direct one between pods. Otherwise replies are restored where they enter.
    pub const RESTORE_AT_CLIENT: u32 = 1 << 1;
    /// The backend is on this node.
    pub const BACKEND_LOCAL: u32 = 1 << 2;
    /// A program of the node itself is the client.
    pub const CLIENT_IS_NODE: u32 = 1 << 3;
    /// The backend is the node itself: in the host network, at one of the node's addresses.
    pub const BACKEND_IS_NODE: u32 = 1 << 4;
    /// Of no Service and not translated: it is here so that the replies of a policed pod's flow pass. `RESTORE_AT_CLIENT`
    /// then says only where the client is.
    pub const AS_IS: u32 = 1 << 5;
}
