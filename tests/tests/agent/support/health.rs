//! The agent's health server, as a kubelet on its node asks it.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::Result;
use lab::Node;

const HEALTHZ: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 10256);

/// Status code and body of a path; none while nobody listens.
pub(crate) fn get(node: &Node, path: &str) -> Result<Option<(u16, String)>> {
    Ok(node.page(HEALTHZ, path)?.map(|page| (page.code, page.body)))
}
