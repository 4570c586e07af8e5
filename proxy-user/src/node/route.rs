//! Where the node sends packets: what `ip route get` tells.

use std::{io, net::IpAddr};

use futures::StreamExt as _;
use netlink_packet_route::{
    AddressFamily, RouteNetlinkMessage,
    route::{RouteAddress, RouteAttribute, RouteMessage, RouteType},
};
use rtnetlink::{
    Handle, new_connection,
    packet_core::{NLM_F_REQUEST, NetlinkMessage, NetlinkPayload},
};
use tokio::runtime::{Builder, Runtime};

use super::Error;

/// The way of the node's own packets to an address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Hop {
    /// The interface they leave by.
    pub ifindex: u32,
    /// The address is the node's own.
    pub is_local: bool,
    /// The source address they get.
    pub source: Option<IpAddr>,
}

/// The routes of the calling thread's network namespace, for whoever isn't asynchronous.
#[derive(Debug)]
pub struct Routes {
    runtime: Runtime,
    handle: Handle,
}

impl Routes {
    /// Opens a socket to ask through.
    pub fn open() -> Result<Self, Error> {
        let failed = |source| Error::Open { source };
        let runtime = Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let inside = runtime.enter();
        let (connection, handle, _) = new_connection().map_err(failed)?;
        runtime.spawn(connection);
        drop(inside);
        Ok(Self { runtime, handle })
    }

    /// The way to an address; `None` where there is none.
    pub fn to(&self, to: IpAddr) -> Result<Option<Hop>, Error> {
        self.runtime.block_on(async {
            let mut message = NetlinkMessage::from(RouteNetlinkMessage::GetRoute(question(to)));
            message.header.flags = NLM_F_REQUEST;
            let mut answers = self.handle.clone().request(message).map_err(|_| Error::Closed)?;
            match answers.next().await.ok_or(Error::Closed)?.payload {
                NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewRoute(route)) => Ok(hop(&route)),
                NetlinkPayload::Error(error) if is_no_way(&error.to_io()) => Ok(None),
                NetlinkPayload::Error(error) => Err(Error::Route { to, source: error.to_io() }),
                _ => Err(Error::Closed),
            }
        })
    }
}

fn question(to: IpAddr) -> RouteMessage {
    let mut message = RouteMessage::default();
    let (family, bits, destination) = match to {
        IpAddr::V4(ip) => (AddressFamily::Inet, 32, RouteAddress::Inet(ip)),
        IpAddr::V6(ip) => (AddressFamily::Inet6, 128, RouteAddress::Inet6(ip)),
    };
    message.header.address_family = family;
    message.header.destination_prefix_length = bits;
    message.attributes.push(RouteAttribute::Destination(destination));
    message
}

/// A route that says no is an answer too.
fn is_no_way(error: &io::Error) -> bool {
    let refusals = [libc::ENETUNREACH, libc::EHOSTUNREACH, libc::EACCES, libc::EINVAL];
    error.raw_os_error().is_some_and(|number| refusals.contains(&number))
}

fn hop(route: &RouteMessage) -> Option<Hop> {
    let is_local = route.header.kind == RouteType::Local;
    if !is_local && route.header.kind != RouteType::Unicast {
        return None;
    }
    let mut hop = Hop { ifindex: 0, is_local, source: None };
    for attribute in &route.attributes {
        match attribute {
            RouteAttribute::Oif(ifindex) => hop.ifindex = *ifindex,
            RouteAttribute::PrefSource(RouteAddress::Inet(ip)) => hop.source = Some((*ip).into()),
            RouteAttribute::PrefSource(RouteAddress::Inet6(ip)) => hop.source = Some((*ip).into()),
            _ => {}
        }
    }
    Some(hop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loopback_address_is_the_node_s_own() {
        let routes = Routes::open().unwrap();
        for ip in ["127.0.0.1", "::1"] {
            let ip: IpAddr = ip.parse().unwrap();
            let hop = routes.to(ip).unwrap().unwrap();
            assert_eq!((hop.ifindex, hop.is_local, hop.source), (1, true, Some(ip)));
        }
    }

    #[test]
    fn without_a_route_there_is_no_way() {
        let asked = std::thread::spawn(|| {
            // SAFETY: only the network namespace of this thread changes; no file descriptor table is unshared.
            unsafe { rustix::thread::unshare_unsafe(rustix::thread::UnshareFlags::NEWNET) }
                .expect("tests of interfaces run as root");
            let routes = Routes::open().unwrap();
            ["192.0.2.1", "2001:db8::1"].map(|ip| routes.to(ip.parse().unwrap()).unwrap())
        });
        assert_eq!(asked.join().unwrap(), [None, None]);
    }
}
