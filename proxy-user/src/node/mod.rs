//! This node's interfaces and addresses, as the kernel has them now.
//!
//! `watch` holds the rtnetlink socket, `event` reads its messages, `observed` keeps what they told and derives the
//! state, `pod_addresses` asks what addresses pods have, as `namespace_events` tells whose changed, `role` decides what part
//! an interface plays and `foreign` knows those of other software by name, `route` asks where packets go. All but `watch`,
//! `pod_addresses`, `namespace_events` and `route` is pure. Nothing here changes the node.

mod event;
mod foreign;
mod namespace_events;
mod netns;
mod observed;
mod pod_addresses;
mod role;
mod route;
#[cfg(test)]
mod tests;
mod uplinks;
mod watch;

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use proxy_common::addr::Family;

pub use self::{
    netns::cookie as netns_cookie,
    role::{Role, Why},
    route::{Hop, Routes},
    watch::watch,
};

/// The network side of this node.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct NodeState {
    /// Its interfaces, by index.
    pub devices: BTreeMap<u32, DeviceInfo>,
    /// Its addresses: those on any interface but pods', that aren't loopback (127.0.0.0/8, `::1`), IPv6 link-local
    /// (`fe80::/10`), or still under duplicate address detection.
    pub addresses: BTreeSet<IpAddr>,
    /// The interface, by index, that the best default route of each family leaves by.
    pub default_devices: BTreeMap<Family, u32>,
}

/// An interface of this node.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DeviceInfo {
    /// Name.
    pub name: String,
    /// What part it plays.
    pub role: Role,
    /// What that was decided by.
    pub why: Why,
    /// The IPv4 address that traffic leaving by it gets as source: the first that is primary and valid beyond the link.
    pub ipv4: Option<Ipv4Addr>,
    /// The same for IPv6: the lowest that is neither temporary, deprecated nor tentative, and valid beyond the link.
    pub ipv6: Option<Ipv6Addr>,
    /// Packets on it begin with the IP header.
    pub no_mac: bool,
    /// What comes in by it was inside another packet of this node.
    pub is_overlay: bool,
    /// The network namespace of its other end, by the number it has in ours (`IFLA_LINK_NETNSID`); `None` where that end
    /// is here too or there is none.
    pub peer_netns: Option<i32>,
    /// Of a pod's interface, the addresses that its other end has. The pod itself may have put them there.
    pub pod_ips: BTreeSet<IpAddr>,
    /// Of a pod's interface, the addresses that have a route of their own through it. Who attached the pod made them.
    pub pod_routes: BTreeSet<IpAddr>,
    /// Set up by the administrator (`IFF_UP`), whatever its carrier.
    pub up: bool,
}

/// Why this node can't be watched.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No socket.
    #[error("cannot open an rtnetlink socket for interface, address and route notifications: {source}")]
    Open {
        /// What the kernel answered.
        source: io::Error,
    },
    /// A dump was refused.
    #[error("the kernel refused to list the node's {what}: {source}")]
    Dump {
        /// Which list.
        what: &'static str,
        /// What the kernel answered.
        source: io::Error,
    },
    /// A dump never came to an end in peace.
    #[error(
        "the node's {what} changed during each of {attempts} attempts to list them; is something adding and \
             removing them in a loop? (`ip monitor` shows it)"
    )]
    Interrupted {
        /// Which list.
        what: &'static str,
        /// How often it was tried.
        attempts: u32,
    },
    /// A route can't be asked for.
    #[error("cannot ask the kernel for the route to {to}: {source}")]
    Route {
        /// Where to.
        to: IpAddr,
        /// What the kernel answered.
        source: io::Error,
    },
    /// The socket is gone.
    #[error("the rtnetlink socket was closed; the log has the reason")]
    Closed,
    /// An uplink pattern that isn't one.
    #[error("device pattern {pattern:?} is not a name or glob such as \"eth*\": {source}")]
    Pattern {
        /// As given.
        pattern: String,
        /// What is wrong with it.
        source: glob::PatternError,
    },
}

impl DeviceInfo {
    /// The address that traffic of a family leaving by it gets as source.
    #[must_use]
    pub fn source(&self, family: Family) -> Option<IpAddr> {
        match family {
            Family::V4 => self.ipv4.map(IpAddr::V4),
            Family::V6 => self.ipv6.map(IpAddr::V6),
        }
    }
}

/// The address of the node to send from where the leaving interface has none: that of the uplink with the default
/// route, else of the first uplink that has one, else any.
#[must_use]
pub fn primary_address(state: &NodeState, family: Family) -> Option<IpAddr> {
    let default = state.default_devices.get(&family).and_then(|index| state.devices.get(index));
    default
        .into_iter()
        .chain(state.devices.values())
        .filter(|device| device.role == Role::Uplink)
        .find_map(|device| device.source(family))
        .or_else(|| state.addresses.iter().copied().find(|ip| ip.is_ipv4() == (family == Family::V4)))
}
