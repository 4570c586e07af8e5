//! Which program runs at which hook.

use aya::programs::TcAttachType;
use aya_obj::generated::bpf_attach_type::{BPF_TCX_EGRESS, BPF_TCX_INGRESS};

/// The programs an interface gets, by what is behind it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Hooks {
    /// The host's end of a pod's interface.
    Pod,
    /// A way out of the node.
    Uplink,
    /// A way out of the node whose packets begin with the IP header.
    Tunnel,
    /// The loopback interface: what the node sends to itself is met where it leaves.
    Loopback,
}

/// A packet's direction at an interface, seen from the node.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) enum Direction {
    Ingress,
    Egress,
}

impl Hooks {
    /// Program for each direction.
    pub(super) const fn programs(self) -> [(Direction, Option<&'static str>); 2] {
        let (ingress, egress) = match self {
            Self::Pod => (Some("from_pod"), "to_pod"),
            Self::Uplink => (Some("from_uplink"), "to_uplink"),
            Self::Tunnel => (Some("from_tunnel"), "to_tunnel"),
            Self::Loopback => (None, "to_uplink"),
        };
        [(Direction::Ingress, ingress), (Direction::Egress, Some(egress))]
    }
}

/// The programs that every node runs at some interface. Those of tunnels are verified when there is one: they are a third of
/// what the verifier goes through.
pub(super) const TC_PROGRAMS: [&str; 4] = ["from_pod", "to_pod", "from_uplink", "to_uplink"];

/// Every program that runs at a control group's sockets; also the attach type's name.
pub(super) const SOCKET_PROGRAMS: [&str; 8] =
    ["connect4", "connect6", "sendmsg4", "sendmsg6", "recvmsg4", "recvmsg6", "getpeername4", "getpeername6"];

/// The program that removes flows that are over; attached nowhere.
pub(super) const SWEEP_PROGRAM: &str = "sweep_flows";

impl Direction {
    pub(super) const BOTH: [Self; 2] = [Self::Ingress, Self::Egress];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Ingress => "ingress",
            Self::Egress => "egress",
        }
    }

    pub(super) const fn attach_type(self) -> TcAttachType {
        match self {
            Self::Ingress => TcAttachType::Ingress,
            Self::Egress => TcAttachType::Egress,
        }
    }

    /// The direction of a tcx link with this `bpf_attach_type`.
    pub(super) fn of_tcx(attach_type: u32) -> Option<Self> {
        if attach_type == BPF_TCX_INGRESS as u32 {
            Some(Self::Ingress)
        } else if attach_type == BPF_TCX_EGRESS as u32 {
            Some(Self::Egress)
        } else {
            None
        }
    }
}
