//! A Service without endpoints refuses at once.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Result;
use lab::Addresses;
use lab::traffic::Ask;

use crate::client::{self, external, route_external};
use crate::configuration::everywhere;
use crate::protocol::Protocol;

/// How long "at once" may take: less than TCP waits before it tries again, a second.
const AT_ONCE: Duration = Duration::from_millis(500);

/// External IPs of `empty`, and the addresses of its load balancer.
const EXTERNAL: [Addresses; 2] = [external(32), external(33)];

#[test]
fn service_without_endpoints_refuses_at_once() -> Result<()> {
    everywhere(|cluster| {
        route_external(cluster)?;
        for (protocol, family) in Protocol::with_families() {
            for client in client::everybody(cluster)? {
                let mut ways = client::all_ways(cluster, &client, "empty", family)?;
                ways.extend(EXTERNAL.map(|addresses| SocketAddr::new(addresses.of(family), 80)));
                for to in ways {
                    let error = protocol.error(client.host, &Ask::new(to).timeout(AT_ONCE))?;
                    assert_eq!(error, "ECONNREFUSED", "{} {to} {protocol:?}", client.host);
                }
            }
        }
        Ok(())
    })
}
