//! The two ends of a packet, and whose rules are asked.

use std::net::IpAddr;

use proxy_common::addr::Addr;
use proxy_common::tables::Policing;

use super::NAMES;

/// What a pod sends, or what it gets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Direction {
    Egress,
    Ingress,
}

/// An end of a packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum End {
    Source,
    Destination,
}

impl Direction {
    /// The end that is the pod.
    pub(super) const fn pod(self) -> End {
        match self {
            Self::Egress => End::Source,
            Self::Ingress => End::Destination,
        }
    }

    /// The end that is its peer.
    pub(super) const fn peer(self) -> End {
        match self {
            Self::Egress => End::Destination,
            Self::Ingress => End::Source,
        }
    }

    pub(super) const fn set(self, policing: Policing) -> u32 {
        match self {
            Self::Egress => policing.egress,
            Self::Ingress => policing.ingress,
        }
    }

    /// How the chain of all pods is called.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Egress => "EGRESS",
            Self::Ingress => "INGRESS",
        }
    }

    pub(super) fn set_chain(self, set: u32) -> String {
        let name = match self {
            Self::Egress => "OUT",
            Self::Ingress => "IN",
        };
        format!("{NAMES}-{name}-{set}")
    }

    /// A chain's name has room for an IPv4 address as a number, and not for an IPv6 one.
    pub(super) fn pod_chain(self, pod: &Addr) -> String {
        let name = match self {
            Self::Egress => "FROM",
            Self::Ingress => "TO",
        };
        let number = match IpAddr::from(*pod) {
            IpAddr::V4(ip) => format!("{:08x}", ip.to_bits()),
            IpAddr::V6(ip) => format!("{:012x}", hash(ip.octets()) >> 16),
        };
        format!("{NAMES}-{name}-{number}")
    }
}

impl End {
    /// Of a rule that names an address.
    pub(super) const fn option(self) -> &'static str {
        match self {
            Self::Source => "-s",
            Self::Destination => "-d",
        }
    }

    /// Of a rule that asks a set.
    pub(super) const fn flag(self) -> &'static str {
        match self {
            Self::Source => "src",
            Self::Destination => "dst",
        }
    }
}

/// FNV-1a of 64 bits (draft-eastlake-fnv): chains are to be called the same by every version of the agent.
fn hash(octets: [u8; 16]) -> u64 {
    let step = |hash: u64, octet: u8| (hash ^ u64::from(octet)).wrapping_mul(0x0100_0000_01b3);
    octets.into_iter().fold(0xcbf2_9ce4_8422_2325, step)
}
