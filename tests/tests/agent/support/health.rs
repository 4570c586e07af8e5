//! The agent's servers, as a kubelet on its node, a load balancer or a scraper asks them.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::Result;
use lab::Node;

const HEALTHZ: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 10256);

/// Status code and body of a path of the node's health server; none while nobody listens.
pub(crate) fn get(node: &Node, path: &str) -> Result<Option<(u16, String)>> {
    Ok(node.get(HEALTHZ, path)?.map(|answer| (answer.code, answer.body)))
}
