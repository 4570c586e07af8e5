//! The node's routes, as the decision and the placing of clients ask them.

use std::cell::Cell;
use std::net::IpAddr;

use proxy_common::addr::{Addr, Family};
use proxy_common::nat::{self, Sockets};
use proxy_common::tables::FlowKey;

use crate::dataplane::ebpf::read::{Pinned, ReadError};
use crate::node::{self, Hop};

/// Entry of `DEVICES` with the node's own addresses, for interfaces that have none.
const NODE: u32 = 0;

/// Where packets go.
pub(super) trait Ways: nat::Routes {
    /// The way to an address; `None` where there is none.
    fn to(&self, ip: IpAddr) -> Option<Hop>;
}

/// Those of this node. By destination only: rules that look at more of a packet aren't asked.
pub(super) struct NodeRoutes<'a> {
    pinned: &'a Pinned,
    routes: node::Routes,
    failed: Cell<Option<anyhow::Error>>,
}

impl<'a> NodeRoutes<'a> {
    pub(super) fn open(pinned: &'a Pinned) -> Result<Self, node::Error> {
        Ok(Self { pinned, routes: node::Routes::open()?, failed: Cell::new(None) })
    }

    /// Whether all was answered that was asked; what was decided counts only then.
    pub(super) fn check(self) -> anyhow::Result<()> {
        self.failed.into_inner().map_or(Ok(()), Err)
    }

    fn seen<T>(&self, asked: Result<Option<T>, impl Into<anyhow::Error>>) -> Option<T> {
        asked.unwrap_or_else(|error| {
            self.failed.set(Some(self.failed.take().unwrap_or_else(|| error.into())));
            None
        })
    }

    fn source(&self, ifindex: u32, family: Family) -> Option<Addr> {
        let device: Result<_, ReadError> = self.pinned.devices.get(&ifindex);
        let device = self.seen(device)?;
        let addr = match family {
            Family::V4 => device.ipv4,
            Family::V6 => device.ipv6,
        };
        addr.is_specified().then_some(addr)
    }
}

impl Ways for NodeRoutes<'_> {
    fn to(&self, ip: IpAddr) -> Option<Hop> {
        self.seen(self.routes.to(ip))
    }
}

impl nat::Routes for NodeRoutes<'_> {
    fn source_towards(&self, packet: &FlowKey) -> Option<Addr> {
        let family = packet.dst.family();
        let hop = self.to(packet.dst.into())?;
        self.source(hop.ifindex, family).or_else(|| self.source(NODE, family))
    }

    /// A connection that isn't there yet has no socket, and no port that one could hold.
    fn has_socket(&self, _packet: &FlowKey, _sockets: Sockets) -> bool {
        false
    }
    /// A connection that is asked for is yet to be made.
    fn tcp_end(&self, _ifindex: u32, _segment: &FlowKey) -> nat::TcpEnd {
        nat::TcpEnd::None
    }
}
