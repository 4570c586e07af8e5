//! Checksums that nobody else fills in.

use anyhow::Result;
use lab::Cluster;
use lab::traffic::Ask;

use crate::client;
use crate::configuration::Configuration;
use crate::protocol::Protocol;

/// Bytes of a bulk transfer.
const BULK: usize = 1_000_000;

#[test]
fn traffic_passes_with_checksum_offload_off() -> Result<()> {
    Configuration::all()
        .try_for_each(|configuration| Configuration { offload: false, ..configuration }.tell(bulk_and_datagrams))
}

#[test]
fn traffic_passes_with_checksum_offload_on() -> Result<()> {
    Configuration::all().try_for_each(|configuration| configuration.tell(bulk_and_datagrams))
}

/// The configuration looks at the counts of wrong checksums after this.
fn bulk_and_datagrams(cluster: &Cluster) -> Result<()> {
    for (protocol, family) in Protocol::with_families() {
        for client in client::everybody(cluster)? {
            for to in client::all_ways(cluster, &client, "only-node2", family)? {
                let ask = match protocol {
                    Protocol::Tcp => Ask::new(to).send(BULK).receive(BULK),
                    // An odd length: the last byte is summed up alone.
                    Protocol::Udp => Ask::new(to).send(1_201),
                };
                protocol.answers(client.host, &ask)?;
            }
        }
    }
    Ok(())
}
