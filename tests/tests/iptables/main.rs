//! Rules of iptables by the real tools, on a node that is one network namespace and nothing more.
#![expect(clippy::unwrap_used, reason = "a helper of a test fails it")]

mod changes;
mod place;
mod ports;
mod traffic;
