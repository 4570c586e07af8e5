//! What carries the traffic.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

/// What is between a client and its server.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Nothing: no agent on any node, and the server's own address is asked.
    Direct,
    /// Sluice with socket translation.
    Socket,
    /// The same, with packets between pods of a node past its stack (`--local-redirect on`).
    Redirect,
    /// Sluice without: packet by packet.
    Tc,
    /// Sluice's iptables mode.
    Iptables,
    /// kube-proxy with `--proxy-mode=iptables`.
    KubeProxyIptables,
    /// kube-proxy with `--proxy-mode=nftables`.
    KubeProxyNftables,
}

impl Mode {
    /// Each of them, in the order of tables.
    pub const ALL: [Self; 7] = [
        Self::Direct,
        Self::Socket,
        Self::Redirect,
        Self::Tc,
        Self::Iptables,
        Self::KubeProxyIptables,
        Self::KubeProxyNftables,
    ];

    /// Its name in arguments, tables and JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Socket => "socket",
            Self::Redirect => "redirect",
            Self::Tc => "tc",
            Self::Iptables => "iptables",
            Self::KubeProxyIptables => "kube-proxy-iptables",
            Self::KubeProxyNftables => "kube-proxy-nftables",
        }
    }

    /// Whether it is kube-proxy.
    #[must_use]
    pub const fn is_kube_proxy(self) -> bool {
        matches!(self, Self::KubeProxyIptables | Self::KubeProxyNftables)
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(self.name())
    }
}

/// A name that is no mode's.
#[derive(Debug, thiserror::Error)]
#[error("no mode is called \"{0}\"; there are {names}", names = Mode::ALL.map(Mode::name).join(", "))]
pub struct UnknownMode(String);

impl FromStr for Mode {
    type Err = UnknownMode;

    fn from_str(name: &str) -> Result<Self, UnknownMode> {
        Self::ALL.into_iter().find(|mode| mode.name() == name).ok_or_else(|| UnknownMode(name.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mode_is_found_by_its_name_and_a_wrong_name_is_told_the_right_ones() {
        for mode in Mode::ALL {
            assert_eq!(mode.name().parse::<Mode>().unwrap(), mode);
        }
        let error = "ipvs".parse::<Mode>().unwrap_err().to_string();
        assert!(error.contains("\"ipvs\"") && error.contains("direct, socket, redirect, tc, iptables"), "{error}");
    }
}
