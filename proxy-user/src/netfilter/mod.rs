//! What the kernel's netfilter holds, over netlink: no tool need be installed for it.

pub(crate) mod conntrack;
pub(crate) mod nftables;
mod socket;
