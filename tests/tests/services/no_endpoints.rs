//! A Service without endpoints refuses at once.

use anyhow::Result;
use lab::traffic::Ask;

use crate::client;
use crate::configuration::everywhere;
use crate::protocol::Protocol;

#[test]
fn service_without_endpoints_refuses_at_once() -> Result<()> {
    everywhere(|cluster| {
        for (protocol, family) in Protocol::with_families() {
            for client in client::everybody(cluster)? {
                for to in client::all_ways(cluster, &client, "empty", family)? {
                    // An answer that took its time would be a time-out of the client's, two seconds.
                    let error = protocol.error(client.host, &Ask::new(to))?;
                    assert_eq!(error, "ECONNREFUSED", "{} {to} {protocol:?}", client.host);
                }
            }
        }
        Ok(())
    })
}
