//! The policy tables as collections, for whoever asks what would happen.

use std::net::IpAddr;

use ipnetwork::IpNetwork;
use proxy_common::plain::PlainTables;

use super::{BlockPrefix, PolicyImage};

impl PolicyImage {
    /// Tables that hold what this image does, and nothing else.
    #[must_use]
    pub fn to_plain(&self) -> PlainTables {
        PlainTables {
            generation: self.generation,
            pod_network: self.pod_network,
            identities: self.identities.clone(),
            blocks: self.blocks.iter().filter_map(|(prefix, block)| Some((network(*prefix)?, *block))).collect(),
            rules: self.rules.iter().map(|(prefix, rule)| ((prefix.key, prefix.bits), *rule)).collect(),
            ..PlainTables::default()
        }
    }
}

/// The network whose prefix this is.
fn network(prefix: BlockPrefix) -> Option<IpNetwork> {
    let addr = IpAddr::from(prefix.addr);
    let before = if addr.is_ipv4() { 96 } else { 0 };
    IpNetwork::new(addr, u8::try_from(prefix.bits.checked_sub(before)?).ok()?).ok()
}
