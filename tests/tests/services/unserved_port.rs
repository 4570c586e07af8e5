//! A ClusterIP refuses what no port of its Service takes, instead of sending it out by the node's default route.

use std::io::{self, ErrorKind, Read as _};
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Result;
use lab::Family;
use lab::traffic::Ask;
use socket2::{Domain, Protocol, Socket, Type};

use crate::client;
use crate::configuration::by_programs;
use crate::protocol::Protocol as Transport;

/// As for Services without endpoints.
const AT_ONCE: Duration = Duration::from_millis(500);

/// Rules don't: they match ports that a Service has.
#[test]
fn a_port_that_the_service_does_not_have_is_refused_at_once() -> Result<()> {
    by_programs(|cluster| {
        for (protocol, family) in Transport::with_families() {
            for client in client::inside(cluster)? {
                let mut to = cluster.cluster_ip("web", family)?;
                to.set_port(to.port() + 1);
                let error = protocol.error(client.host, &Ask::new(to).timeout(AT_ONCE))?;
                assert_eq!(error, "ECONNREFUSED", "{} {to} {protocol:?}", client.host);
            }
        }
        Ok(())
    })
}

/// Rules don't: they match ports that a Service has.
#[test]
fn an_echo_request_is_refused_at_once() -> Result<()> {
    by_programs(|cluster| {
        for family in Family::BOTH {
            let to = SocketAddr::new(cluster.cluster_ip("web", family)?.ip(), 0);
            for client in client::inside(cluster)? {
                let error = client.host.inside(|| echo_error(to))??;
                assert_eq!(error.kind(), ErrorKind::ConnectionRefused, "{} {to} {error}", client.host);
            }
        }
        Ok(())
    })
}

/// What comes of an echo request, by a connected raw socket: the kernel tells that of "port unreachable".
fn echo_error(to: SocketAddr) -> Result<io::Error> {
    let (protocol, kind) = if to.is_ipv4() { (Protocol::ICMPV4, 8) } else { (Protocol::ICMPV6, 128) };
    let socket = Socket::new(Domain::for_address(to), Type::RAW, Some(protocol))?;
    socket.connect(&to.into())?;
    socket.set_read_timeout(Some(AT_ONCE))?;
    // RFC 1071's sum of it, which for ICMPv6 the kernel takes itself.
    let checksum = !(u16::from(kind) << 8);
    let [high, low] = checksum.to_be_bytes();
    socket.send(&[kind, 0, high, low, 0, 0, 0, 0])?;
    match (&socket).read(&mut [0; 128]) {
        Ok(length) => anyhow::bail!("{to} answered with {length} bytes"),
        Err(error) => Ok(error),
    }
}
