//! New network namespaces, with the sysctls that must be there before the first interface.

use std::fs;

use crate::error::{Doing, Result};
use crate::ip::Batch;
use crate::netns;

/// IPv6 addresses work at once: nobody else on the lab's links can have them.
const EVERY_HOST: [(&str, &str); 4] = [
    ("net/ipv6/conf/all/accept_dad", "0"),
    ("net/ipv6/conf/default/accept_dad", "0"),
    ("net/ipv6/conf/default/dad_transmits", "0"),
    ("net/ipv6/conf/default/router_solicitations", "0"),
];

const ROUTER: [(&str, &str); 3] =
    [("net/ipv4/ip_forward", "1"), ("net/ipv6/conf/all/forwarding", "1"), ("net/ipv6/conf/default/forwarding", "1")];

/// What a host does with packets that aren't for it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Forwarding {
    On,
    Off,
}

/// Makes network namespaces by their names.
pub(crate) fn create(names: &[String]) -> Result<()> {
    let mut batch = Batch::default();
    for name in names {
        batch.add(format_args!("netns add {name}"));
    }
    batch.run()
}

/// Sets a new namespace's sysctls; `rp_filter` is the kernel's number for it (0 off, 1 strict, 2 loose). A machine's
/// own setting would be inherited otherwise, and labs would differ from machine to machine.
pub(crate) fn configure(name: &str, forwarding: Forwarding, rp_filter: u8) -> Result<()> {
    let rp_filter = rp_filter.to_string();
    let filters = [("net/ipv4/conf/all/rp_filter", "0"), ("net/ipv4/conf/default/rp_filter", rp_filter.as_str())];
    let router: &[_] = if forwarding == Forwarding::On { &ROUTER } else { &[] };
    netns::inside(name, || {
        for (key, value) in EVERY_HOST.iter().chain(&filters).chain(router) {
            set_here(key, value)?;
        }
        Ok(())
    })?
}

/// Sets a sysctl, named by its path, of the namespace this thread is in.
pub(crate) fn set_here(key: &str, value: &str) -> Result<()> {
    fs::write(format!("/proc/sys/{key}"), value).doing(|| format!("set sysctl {key} to {value}"))
}
