//! A Service without endpoints refuses at once.

use std::time::Duration;

use anyhow::Result;
use lab::traffic::Ask;

use crate::client;
use crate::configuration::everywhere;
use crate::protocol::Protocol;

/// How long "at once" may take: less than TCP waits before it tries again, a second.
const AT_ONCE: Duration = Duration::from_millis(500);

#[test]
fn service_without_endpoints_refuses_at_once() -> Result<()> {
    everywhere(|cluster| {
        for (protocol, family) in Protocol::with_families() {
            for client in client::everybody(cluster)? {
                for to in client::all_ways(cluster, &client, "empty", family)? {
                    let error = protocol.error(client.host, &Ask::new(to).timeout(AT_ONCE))?;
                    assert_eq!(error, "ECONNREFUSED", "{} {to} {protocol:?}", client.host);
                }
            }
        }
        Ok(())
    })
}
