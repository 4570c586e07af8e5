//! The rules of this network namespace, and what they were made of.

use std::fs;
use std::path::Path;

use proxy_common::addr::Family;

use super::error::Error;
use super::ipset;
use super::policies::Policies;
use super::restore::Restore;
use super::save::Saved;
use super::services::Written;

/// Exists where the kernel has IPv6 (kube-proxy's rule 2.30).
const IPV6: &str = "/proc/net/if_inet6";

/// Not there before the kernel tracks connections; then it is off.
const TCP_BE_LIBERAL: &str = "/proc/sys/net/netfilter/nf_conntrack_tcp_be_liberal";

/// The rules, and what is known of them.
#[derive(Debug)]
pub struct Rules {
    /// Those that the node has.
    pub(super) families: Vec<Family>,
    pub(super) policies: Policies,
    /// Connection tracking takes segments that are out of order for valid.
    pub(super) tcp_be_liberal: bool,
    /// The rules of Services, where they are known to be in force.
    pub(super) services: Option<Written>,
}

impl Rules {
    /// Finds the tools; reads and changes nothing.
    ///
    /// # Errors
    /// One isn't there. Those of IPv6 need not be where the kernel has no IPv6.
    pub fn open() -> Result<Self, Error> {
        let mut families = vec![Family::V4];
        if Path::new(IPV6).exists() {
            families.push(Family::V6);
        }
        for family in &families {
            Restore::check(*family)?;
            Saved::check(*family)?;
        }
        ipset::check()?;
        let tcp_be_liberal = fs::read_to_string(TCP_BE_LIBERAL).is_ok_and(|text| text.trim() != "0");
        Ok(Self { families, tcp_be_liberal, services: None, policies: Policies::default() })
    }
}
