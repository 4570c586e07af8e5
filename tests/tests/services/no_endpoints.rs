//! A Service without endpoints refuses at once.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Result;
use lab::traffic::Ask;
use lab::{Addresses, Cluster, Host, Mode};

use crate::client::{self, external, route_external};
use crate::configuration::Configuration;
use crate::protocol::Protocol;

/// How long "at once" may take: less than TCP waits before it tries again, a second.
const AT_ONCE: Duration = Duration::from_millis(500);

/// External IPs of `empty`, and the addresses of its load balancer.
const EXTERNAL: [Addresses; 2] = [external(32), external(33)];

#[test]
fn service_without_endpoints_refuses_at_once() -> Result<()> {
    Configuration::all().try_for_each(|configuration| {
        configuration.tell(|cluster| {
            route_external(cluster)?;
            for (protocol, family) in Protocol::with_families() {
                for client in client::everybody(cluster)? {
                    let mut ways = client::all_ways(cluster, &client, "empty", family)?;
                    ways.extend(EXTERNAL.map(|addresses| SocketAddr::new(addresses.of(family), 80)));
                    for to in ways {
                        let error = protocol.error(client.host, &Ask::new(to).timeout(AT_ONCE))?;
                        let expected = refused(configuration, protocol, cluster, client.host);
                        assert!(expected.contains(&error.as_str()), "{} {to} {protocol:?}: {error}", client.host);
                    }
                }
            }
            Ok(())
        })
    })
}

/// What a client is told. A datagram that a rule refuses on its way out of the node itself, the kernel refuses in its own
/// words, before the answer comes that the rule asks for; TCP goes by the answer.
fn refused(
    configuration: Configuration,
    protocol: Protocol,
    cluster: &Cluster,
    client: &Host,
) -> &'static [&'static str] {
    let is_node = cluster.lab().nodes().iter().any(|node| node.name() == client.name());
    match (configuration.serving.mode, protocol) {
        (Mode::Iptables, Protocol::Udp) if is_node => &["EPERM", "ECONNREFUSED"],
        _ => &["ECONNREFUSED"],
    }
}
