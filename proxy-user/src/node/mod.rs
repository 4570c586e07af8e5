//! The node itself: its interfaces, what each is to the dataplane, and its addresses.
//!
//! Not here: which Service is served where (`plan`), and attaching anything (`dataplane`).

mod decode;
mod kernel;
mod netns;
mod role;
mod selection;
#[cfg(test)]
mod tests;
mod watch;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

pub use netns::cookie as netns_cookie;
pub use role::Role;
pub use selection::{DevicePatternError, DeviceSelection};
pub use watch::{WatchError, watch};

/// The node at one moment.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct NodeState {
    /// Interfaces by index.
    pub devices: BTreeMap<u32, DeviceInfo>,
    /// Addresses of all interfaces: the kernel takes packets to them for its own.
    pub addresses: BTreeSet<IpAddr>,
}

/// An interface.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DeviceInfo {
    /// Its name; may change.
    pub name: String,
    /// What it is to the dataplane.
    pub role: Role,
    /// Primary IPv4 address of global scope: the source of what is translated to leave by it.
    pub ipv4: Option<IpAddr>,
    /// The same for IPv6; of several, always the same one.
    pub ipv6: Option<IpAddr>,
    /// Packets on it begin with the IP header.
    pub no_mac: bool,
    /// Most bytes of a packet, link-layer header not counted.
    pub mtu: u32,
    /// Set up by the administrator; says nothing about a carrier.
    pub up: bool,
}
