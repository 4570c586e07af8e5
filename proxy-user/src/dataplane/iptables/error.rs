//! What goes wrong with the tools of iptables.

use std::io;

/// Why the rules are not as they should be.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A tool can't be run.
    #[error("cannot run {tool}: is it installed?")]
    Start {
        /// Its name.
        tool: &'static str,
        /// Why.
        source: io::Error,
    },
    /// A tool refused what it was given, and took nothing of the table that it names.
    #[error("{tool}: {message}")]
    Refused {
        /// Its name.
        tool: &'static str,
        /// What it said, and the line it said it of.
        message: String,
    },
    /// The rules don't see what two pods of a bridge send each other.
    #[error(
        "pods of a bridge ({interface}) reach each other whatever policies say: {setting} can't be 1 (modprobe br_netfilter)"
    )]
    Bridge {
        /// A pod's interface that is a port of the bridge.
        interface: String,
        /// What can't be set.
        setting: &'static str,
        /// Why.
        source: io::Error,
    },
    /// What the kernel tracks of connections can't be read or changed.
    #[error("cannot {action} connections: does the kernel have nf_conntrack_netlink?")]
    Conntrack {
        /// What was tried.
        action: &'static str,
        /// Why.
        source: io::Error,
    },
}
