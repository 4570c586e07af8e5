//! Where a server listens, as Kubernetes components write it.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// `IP:port`, or nowhere.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BindAddress {
    /// The server is off.
    Disabled,
    /// The server listens here.
    At(SocketAddr),
}

impl BindAddress {
    /// Reads `IP:port`, `IP` (which gets `default_port`) or the empty string (off); `None` for anything else. An IPv6
    /// address is written in brackets where a port follows.
    #[must_use]
    pub fn parse(text: &str, default_port: u16) -> Option<Self> {
        let text = text.trim();
        if text.is_empty() {
            return Some(Self::Disabled);
        }
        let bare = || text.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        text.parse::<SocketAddr>().or_else(|_| bare().map(|ip| SocketAddr::new(ip, default_port))).ok().map(Self::At)
    }

    /// The address to listen on, where there is one.
    #[must_use]
    pub const fn socket_addr(self) -> Option<SocketAddr> {
        match self {
            Self::Disabled => None,
            Self::At(addr) => Some(addr),
        }
    }
}

impl fmt::Display for BindAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Disabled => Ok(()),
            Self::At(addr) => addr.fmt(f),
        }
    }
}
